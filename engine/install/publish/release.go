// Package publish is the author's side of installing plugins: it makes a folder that can
// be put on a USB stick or on any web server, and from which `faultline init` installs.
// A release in it has these files below the plugin's address:
//
//	index.json                                        which versions there are
//	1.2.0.json                                        the archives of a version
//	faultline-plugin-lamp_1.2.0_linux_amd64.zip       one for each platform
//	faultline-plugin-lamp_1.2.0_SHA256SUMS            of the archives, and of the binaries in them
//	faultline-plugin-lamp_1.2.0_SHA256SUMS.sig        by ssh-keygen -Y sign
//
// The same binaries make the same files, to the byte. A version that is there stays what
// it is: others have locked its checksums.
package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/faultline-go/faultline/engine/durable"
	"github.com/faultline-go/faultline/engine/install"
	"github.com/faultline-go/faultline/engine/install/address"
	"github.com/faultline-go/faultline/engine/install/sshsig"
)

// Release is a version of a plugin, about to be published.
type Release struct {
	Source   address.Address
	Version  string // semantic, without build metadata
	Binaries []Binary
	License  string // a file that goes into every archive; empty: none
	// Protocols are those between plugins and engines that it speaks; empty: not known.
	Protocols []int
}

// Binary is the plugin for one platform.
type Binary struct {
	Platform install.Platform
	Path     string
	SHA256   string // what it must have; empty: whatever it has
}

// Published is what there is after Publish.
type Published struct {
	Dir      string // of the plugin, in the mirror
	Archives []Archive
	Sums     string      // name of the file of checksums
	Already  bool        // it was there before, the same
	Signed   bool        // now, or before
	Signer   *sshsig.Key // who has signed it now
}

// Signer signs a message for install.SignatureNamespace, in the armored form.
type Signer func(ctx context.Context, message []byte) ([]byte, error)

func (r Release) sums() string      { return install.ChecksumsName(r.Source.Name, r.Version) }
func (r Release) signature() string { return r.sums() + ".sig" }
func (r Release) document() string  { return r.Version + ".json" }

func (r Release) check() error {
	if _, err := install.Satisfies("", r.Version); err != nil {
		return err
	}
	if len(r.Binaries) == 0 {
		return errors.New("there is no binary to publish")
	}
	seen := map[install.Platform]string{}
	for _, b := range r.Binaries {
		if other, twice := seen[b.Platform]; twice {
			return fmt.Errorf("%s and %s are both for %s", other, b.Path, b.Platform)
		}
		seen[b.Platform] = b.Path
		switch found, err := Platform(b.Path); {
		case errors.Is(err, errScript): // runs wherever its interpreter does
		case err != nil:
			return err
		case found != b.Platform:
			return fmt.Errorf("%s is built for %s, not for %s", b.Path, found, b.Platform)
		}
	}
	return nil
}

// Publish writes the release into the folder of a mirror. Without a signer it is not
// signed, and only users who allow that will install it.
//
// Everything is made, signed and checked aside, and the index, which makes it visible,
// comes last: what fails or is interrupted has published nothing. A version that is
// there with another content is refused; with the same, it is at most signed anew.
func (r Release) Publish(ctx context.Context, mirror string, sign Signer) (Published, error) {
	wrap := func(err error) (Published, error) {
		return Published{}, fmt.Errorf("publish %s %s: %w", r.Source, r.Version, err)
	}
	if err := r.check(); err != nil {
		return wrap(err)
	}
	dir := filepath.Join(mirror, filepath.FromSlash(r.Source.String()))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return wrap(err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return wrap(err)
	}
	defer unlock()
	index, err := readIndex(dir)
	if err != nil {
		return wrap(err)
	}
	aside, err := os.MkdirTemp(dir, ".pack-*")
	if err != nil {
		return wrap(err)
	}
	defer os.RemoveAll(aside)

	p := Published{Dir: dir, Sums: r.sums()}
	for _, b := range r.Binaries {
		a, err := r.pack(aside, b)
		if err != nil {
			return wrap(err)
		}
		p.Archives = append(p.Archives, a)
	}
	slices.SortFunc(p.Archives, func(a, b Archive) int { return strings.Compare(a.Platform.String(), b.Platform.String()) })
	sums := r.checksums(p.Archives)
	if p.Already, err = r.already(dir, sums); err != nil {
		return wrap(err)
	}
	files := []file{{r.sums(), sums}}
	if sign != nil {
		signature, key, err := signed(ctx, sign, sums)
		if err != nil {
			return wrap(err)
		}
		files, p.Signer = append(files, file{r.signature(), signature}), &key
	}
	if _, err := os.Stat(filepath.Join(dir, r.signature())); err == nil && p.Already || sign != nil {
		p.Signed = true
	}
	files = append(files, file{r.document(), r.documentText(p.Archives)}, file{"index.json", index.with(r.Version)})
	var names []string
	for _, a := range p.Archives {
		names = append(names, a.File)
	}
	for _, f := range files {
		if err := writeFile(filepath.Join(aside, f.name), f.text); err != nil {
			return wrap(err)
		}
		names = append(names, f.name)
	}
	if err := ctx.Err(); err != nil {
		return wrap(err)
	}
	for _, name := range names {
		if err := os.Rename(filepath.Join(aside, name), filepath.Join(dir, name)); err != nil {
			return wrap(err)
		}
	}
	// Some file systems of sticks cannot make renames last, and need not.
	if err := durable.SyncDir(dir); err != nil && !errors.Is(err, syscall.EINVAL) {
		return wrap(err)
	}
	return p, nil
}

// file is one that is small.
type file struct {
	name string
	text []byte
}

// signed signs, and looks whether a user will be able to verify it.
func signed(ctx context.Context, sign Signer, message []byte) ([]byte, sshsig.Key, error) {
	signature, err := sign(ctx, message)
	if err != nil {
		return nil, sshsig.Key{}, fmt.Errorf("sign the checksums: %w", err)
	}
	// Nobody is trusted here: that is the one thing that may be wrong.
	_, err = sshsig.Verify(message, signature, install.SignatureNamespace, nil)
	var untrusted *sshsig.UntrustedError
	if !errors.As(err, &untrusted) {
		return nil, sshsig.Key{}, fmt.Errorf("check the new signature: %w", err)
	}
	return signature, untrusted.Key, nil
}

// already says whether the version is there with these checksums. With others it is an
// error, with what differs.
func (r Release) already(dir string, sums []byte) (bool, error) {
	old, err := os.ReadFile(filepath.Join(dir, r.sums()))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, r.document())); !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("%s is there already, without %s: its content is not known", r.document(), r.sums())
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if string(old) == string(sums) {
		return true, nil
	}
	was, is := strings.Split(string(old), "\n"), strings.Split(string(sums), "\n")
	for _, line := range slices.Concat(is, was) {
		if !slices.Contains(was, line) || !slices.Contains(is, line) {
			_, name, _ := strings.Cut(line, "  ")
			return false, fmt.Errorf("the version is there already with another content (%s differs), and whoever has locked it would take this for tampering: publish another version", name)
		}
	}
	return false, fmt.Errorf("%s is there already, and has its lines in another order: publish another version", r.sums())
}

// lock lets one author at a time change a plugin's folder.
func lock(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
		d.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { d.Close() }, nil
}

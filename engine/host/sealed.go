package host

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// foreign says whether somebody else could write into the file that is open: whoever owns
// it, or may write to it by its mode, which has its group's bits set by an access control
// list, too. An open descriptor protects from another file in its place, not from that.
func foreign(info os.FileInfo) bool {
	st := info.Sys().(*syscall.Stat_t)
	return st.Uid != 0 && int(st.Uid) != os.Getuid() || info.Mode().Perm()&0o022 != 0
}

// seal puts a copy in memory, which nobody can change, in the place of a file that others
// may write to, if it still is what was hashed and allowed. A script's interpreter reads
// the copy, too.
func (b *binary) seal() error {
	info, err := b.file.Stat()
	if err != nil {
		return fmt.Errorf("look at plugin %s: %w", b.name, err)
	}
	if b.sealed || !foreign(info) {
		return nil
	}
	fail := func(err error) error {
		return fmt.Errorf("start plugin %s: others than you may write to %s, and a copy of it in memory cannot be made (%w); run: chown, or chmod go-w", b.name, b.path, err)
	}
	fd, err := unix.MemfdCreate(Prefix+b.name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return fail(err)
	}
	sealed := os.NewFile(uintptr(fd), b.path)
	h := sha256.New()
	if _, err = io.Copy(io.MultiWriter(sealed, h), io.NewSectionReader(b.file, 0, b.size)); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	}
	switch {
	case err != nil:
		err = fail(err)
	case hex.EncodeToString(h.Sum(nil)) != b.sum:
		err = changedMeanwhile(b)
	}
	if err != nil {
		sealed.Close()
		return err
	}
	b.file.Close()
	b.file, b.sealed = sealed, true
	return nil
}

func changedMeanwhile(b *binary) error {
	return fmt.Errorf("plugin %s was changed while it was started (%s); try again", b.name, b.path)
}

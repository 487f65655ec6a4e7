package install

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/faultline-go/faultline/engine/install/address"
	"github.com/faultline-go/faultline/engine/install/sshsig"
	"github.com/faultline-go/faultline/internal/lazyregexp"
	"github.com/faultline-go/faultline/sdk/schema"
)

// SignatureNamespace is what the signature over a release's checksums is made for:
// ssh-keygen -Y sign -n faultline-plugin.
const SignatureNamespace = "faultline-plugin"

// BinaryName is the name of a plugin's binary.
func BinaryName(name string) string { return schema.BinaryPrefix + name }

// ChecksumsName is the name of a release's checksum file; its signature has .sig behind.
func ChecksumsName(name, version string) string {
	return BinaryName(name) + "_" + version + "_SHA256SUMS"
}

// packing is how an archive is packed.
type packing string

const (
	packedZip packing = ".zip"
	packedTar packing = ".tar.gz"
)

// ArchiveName is the name of a release's archive, without its ending.
func ArchiveName(name, version string, p Platform) string {
	return BinaryName(name) + "_" + version + "_" + p.String()
}

// BinaryInArchives is how a release's checksum file calls the unpacked binary for a
// platform.
func BinaryInArchives(name string, p Platform) string { return p.String() + "/" + BinaryName(name) }

// checksums are the lines of a checksum file: a SHA-256 for each name.
type checksums map[string]string

var checksumLine = lazyregexp.New(`^([0-9a-f]{64}) [ *]([A-Za-z0-9._/-]{1,255})$`)

// parseChecksums reads what sha256sum(1) writes.
func parseChecksums(text []byte) (checksums, error) {
	out := checksums{}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		m := checksumLine().FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("line %d of the checksum file is not a SHA-256, two spaces and a name", number)
		}
		if _, twice := out[m[2]]; twice {
			return nil, fmt.Errorf("line %d of the checksum file has %s a second time", number, m[2])
		}
		out[m[2]] = m[1]
	}
	return out, nil
}

// vouched is a release of which it was checked who vouches for its checksums.
type vouched struct {
	*Release
	address address.Address
	version string
	key     sshsig.Key // the zero Key: nobody
	sums    checksums  // nil: only the index has any
}

// vouch checks a release's signature against the keys of its source.
func (c *SourceConfig) vouch(a address.Address, version string, r *Release) (*vouched, error) {
	v := &vouched{Release: r, address: a, version: version}
	if !c.AllowUnsigned {
		if r.Checksums == nil || r.Signature == nil {
			missing := ChecksumsName(a.Name, version)
			if r.Checksums != nil {
				missing += ".sig"
			}
			return nil, untrusted("%s %s is not signed: %s has no %s, and the configuration (%s) names keys; who trusts the mirror blindly writes allow_unsigned = true in their place", a, version, c.Place(), missing, c.Pos)
		}
		var err error
		if v.key, err = sshsig.Verify(r.Checksums, r.Signature, SignatureNamespace, c.Keys); err != nil {
			hint := ""
			var stranger *sshsig.UntrustedError
			if errors.As(err, &stranger) {
				hint = fmt.Sprintf("; if it is the author's, add it to the source at %s", c.Pos)
			}
			return nil, untrusted("the signature of %s %s at %s: %s%s", a, version, c.Place(), err, hint)
		}
	}
	if r.Checksums != nil {
		var err error
		if v.sums, err = parseChecksums(r.Checksums); err != nil {
			return nil, fmt.Errorf("%s %s at %s: %w", a, version, c.Place(), err)
		}
	}
	return v, nil
}

// binaries are the checksums of unpacked binaries that the checksum file has.
func (v *vouched) binaries() map[Platform]string {
	out := map[Platform]string{}
	for name, sum := range v.sums {
		dir, file := path.Split(name)
		if p, err := ParsePlatform(strings.TrimSuffix(dir, "/")); err == nil && file == BinaryName(v.address.Name) {
			out[p] = sum
		}
	}
	return out
}

// archive returns the archive for a platform, how it is packed, and the SHA-256 that it
// must have. The name under which its checksum is looked for says plugin, version and
// platform: so what was signed for one cannot be served as another.
func (v *vouched) archive(p Platform) (a Archive, packed packing, sum string, err error) {
	a, ok := v.Archives[p]
	if !ok {
		return a, "", "", &noArchiveError{v, p}
	}
	switch {
	case strings.HasSuffix(a.URL, string(packedZip)):
		packed = packedZip
	case strings.HasSuffix(a.URL, string(packedTar)):
		packed = packedTar
	default:
		return a, "", "", fmt.Errorf("the archive of %s %s for %s is called %q, and only .zip and .tar.gz can be unpacked", v.address, v.version, p, path.Base(a.URL))
	}
	name := ArchiveName(v.address.Name, v.version, p) + string(packed)
	switch sum, listed := v.sums[name]; {
	case listed && a.SHA256 != "" && a.SHA256 != sum:
		return a, "", "", untrusted("%s %s for %s has the SHA-256 %s in the index and %s in the checksum file", v.address, v.version, p, a.SHA256, sum)
	case listed:
		return a, packed, sum, nil
	case v.sums != nil:
		return a, "", "", untrusted("the checksum file of %s %s has no line for %s, so that nobody vouches for it", v.address, v.version, name)
	case a.SHA256 != "":
		return a, packed, a.SHA256, nil
	}
	return a, "", "", untrusted("neither a checksum file nor the index has a checksum of %s", name)
}

// noArchiveError says that a release is not there for a platform.
type noArchiveError struct {
	release  *vouched
	platform Platform
}

func (e *noArchiveError) Error() string {
	return fmt.Sprintf("%s %s is not there for %s; it is for %s", e.release.address, e.release.version, e.platform, platformNames(e.release.Archives))
}

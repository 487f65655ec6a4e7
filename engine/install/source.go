package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/faultline-go/faultline/engine/install/address"
	"github.com/faultline-go/faultline/internal/lazyregexp"
)

// Source is where the releases of plugins are. What is not there is an error that is
// fs.ErrNotExist. Nothing that comes from it is trusted.
type Source interface {
	// Versions lists the versions of a plugin, in any order.
	Versions(ctx context.Context, a address.Address) ([]string, error)
	// Release says what one version has.
	Release(ctx context.Context, a address.Address, version string) (*Release, error)
	// Archive copies an archive of a release into a file.
	Archive(ctx context.Context, a address.Address, archive Archive, to *os.File) error
}

// Release is one version of a plugin at a source.
type Release struct {
	Protocols []int // of plugins and engines, that it speaks; empty: it does not say
	Archives  map[Platform]Archive
	Checksums []byte // SHA256SUMS; nil: there is none
	Signature []byte // over Checksums; nil: there is none
}

// Archive is the packed binary for one platform.
type Archive struct {
	URL    string // relative to the release's place
	SHA256 string // as the index has it, in hexadecimal; empty: it has none
}

// Bounds of what a source may answer. The largest plugin of faultline's own has 30 MB.
const (
	maxIndex     = 4 << 20
	maxChecksums = 1 << 20
	maxSignature = 16 << 10
	maxArchive   = 1 << 30
)

// A mirror, be it a folder or a web server, has these files for a plugin:
//
//	HOST/NAMESPACE/NAME/index.json     {"versions": {"1.2.0": {}}}
//	HOST/NAMESPACE/NAME/1.2.0.json     {"archives": {"linux_amd64": {"url": "…", "hashes": ["zh:…"]}}, "protocols": [1]}
//	HOST/NAMESPACE/NAME/faultline-plugin-NAME_1.2.0_SHA256SUMS, and the same with .sig
//
// That is the layout of Terraform's network mirrors, with the signed checksums beside.

// getter reads a small file of a mirror, by its path from the mirror's root.
type getter func(ctx context.Context, path string, limit int64) ([]byte, error)

func (get getter) versions(ctx context.Context, a address.Address) ([]string, error) {
	file := path.Join(a.String(), "index.json")
	text, err := get(ctx, file, maxIndex)
	if err != nil {
		return nil, err
	}
	var index struct {
		Versions map[string]json.RawMessage `json:"versions"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	var out []string
	for v := range index.Versions {
		if releaseVersion().MatchString(v) { // others cannot be asked for
			out = append(out, v)
		}
	}
	return out, nil
}

var zipHash = lazyregexp.New(`^zh:([0-9a-f]{64})$`)

func (get getter) release(ctx context.Context, a address.Address, version string) (*Release, error) {
	file := path.Join(a.String(), version+".json")
	text, err := get(ctx, file, maxIndex)
	if err != nil {
		return nil, err
	}
	var index struct {
		Archives map[string]struct {
			URL    string   `json:"url"`
			Hashes []string `json:"hashes"`
		} `json:"archives"`
		Protocols []int `json:"protocols"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	r := &Release{Protocols: index.Protocols, Archives: map[Platform]Archive{}}
	for name, x := range index.Archives {
		p, err := ParsePlatform(name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		archive := Archive{URL: x.URL}
		for _, h := range x.Hashes {
			if m := zipHash().FindStringSubmatch(h); m != nil {
				archive.SHA256 = m[1]
			}
		}
		r.Archives[p] = archive
	}
	sums := path.Join(a.String(), ChecksumsName(a.Name, version))
	if r.Checksums, err = get.optional(ctx, sums, maxChecksums); err != nil {
		return nil, err
	}
	if r.Signature, err = get.optional(ctx, sums+".sig", maxSignature); err != nil {
		return nil, err
	}
	return r, nil
}

// optional reads a file that need not be there.
func (get getter) optional(ctx context.Context, path string, limit int64) ([]byte, error) {
	text, err := get(ctx, path, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// openSource is the source that the configuration names.
func openSource(c *SourceConfig, agent string) Source {
	if c.URL != nil {
		return newWeb(c.URL, agent)
	}
	return folder{c.Mirror}
}

// bounded is a reader that ends with an error where there is more than allowed.
type bounded struct {
	r    io.Reader
	left int64
	max  int64
}

func atMost(r io.Reader, limit int64) io.Reader { return &bounded{r, limit, limit} }

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if int64(n) > b.left {
		n, b.left = int(b.left), 0
		return n, fmt.Errorf("there are more than %d bytes", b.max)
	}
	b.left -= int64(n)
	return n, err
}

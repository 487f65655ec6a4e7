package host

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"syscall"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
)

// The cache has two kinds of files, both JSON, written whole or not at all:
//
//	checksums/<hash of the path>.json   path and identity of a file → its SHA-256
//	descriptions/<SHA-256>-<shape>.json  what the binary with that checksum says it offers
//
// A checksum is taken from the cache while the file's device, inode, size, and both
// its modification and its change time are what they were: the change time cannot be
// set by a program, so that a file that was written to is seen. Only a file that was
// last changed at least unsettled before it was hashed is remembered, because a
// second change within the clock's grain would go unseen. Cached checksums serve to
// find a description or a copy; what is executed is always hashed.
//
// The shape of this build's Description is in the name, so that a cache written by
// another version of faultline, which knew other fields, is not used.
//
// Anything wrong with a file of the cache makes it a miss, and a cache that cannot
// be written is slower, not an error.

const unsettled = 2 * time.Second

// identity is what tells a file from another, or from itself before a change.
type identity struct {
	Path  string `json:"path"`
	Dev   uint64 `json:"dev"`
	Inode uint64 `json:"inode"`
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime_ns"`
	CTime int64  `json:"ctime_ns"`
}

func (b *binary) identity() (identity, error) {
	info, err := b.file.Stat()
	if err != nil {
		return identity{}, fmt.Errorf("look at plugin %s: %w", b.name, err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return identity{
		Path: b.path, Dev: uint64(st.Dev), Inode: st.Ino, Size: st.Size,
		MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(),
	}, nil
}

type checksumEntry struct {
	File   identity `json:"file"`
	SHA256 string   `json:"sha256"`
}

// checksum fills in a binary's sum, from the cache if it can.
func (h *Host) checksum(b *binary) error {
	id, err := b.identity()
	if err != nil {
		return err
	}
	key := sha256.Sum256([]byte(b.path))
	path := filepath.Join(h.opts.CacheDir, "checksums", hex.EncodeToString(key[:16])+".json")
	var e checksumEntry
	if h.readCache(path, &e) && e.File == id && len(e.SHA256) == 2*sha256.Size {
		b.sum = e.SHA256
		return nil
	}
	began := time.Now()
	if err := b.hash(); err != nil {
		return err
	}
	if began.Sub(time.Unix(0, max(id.MTime, id.CTime))) > unsettled {
		h.writeCache(path, checksumEntry{id, b.sum})
	}
	return nil
}

func (h *Host) descriptionPath(sum string) string {
	return filepath.Join(h.opts.CacheDir, "descriptions", sum+"-"+shape()+".json")
}

// cached returns what is known of the binary with that checksum. What it said in a
// protocol that this faultline does not speak is not used, nor what says no protocol.
func (h *Host) cached(sum string) (Described, bool) {
	var d Described
	ok := h.readCache(h.descriptionPath(sum), &d) && d.SHA256 == sum && d.Description != nil && h.protocols.have(d.Protocol)
	return d, ok
}

func (h *Host) remember(d Described) { h.writeCache(h.descriptionPath(d.SHA256), d) }

func (h *Host) readCache(path string, v any) bool {
	if h.opts.CacheDir == "" {
		return false
	}
	raw, err := os.ReadFile(path)
	return err == nil && json.Unmarshal(raw, v) == nil
}

func (h *Host) writeCache(path string, v any) {
	if h.opts.CacheDir == "" {
		return
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return
	}
	defer os.Remove(f.Name()) // in vain once it is renamed
	_, err = f.Write(raw)
	if e := f.Close(); err == nil && e == nil {
		_ = os.Rename(f.Name(), path)
	}
}

// shape names the fields of schema.Description in this build.
var shape = sync.OnceValue(func() string {
	h := sha256.New()
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		fmt.Fprint(h, t.String())
		if seen[t] {
			return
		}
		seen[t] = true
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice:
			walk(t.Elem())
		case reflect.Struct:
			for f := range t.Fields() {
				fmt.Fprint(h, f.Name, f.Tag)
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[schema.Description]())
	return hex.EncodeToString(h.Sum(nil))[:8]
})

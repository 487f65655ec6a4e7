package host

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// A description that another version of faultline has cached, which knew other fields, is not
// used: what it left out would be missing in silence.
func TestCacheOfAnotherShapeIsNotUsed(t *testing.T) {
	h := New(Options{CacheDir: t.TempDir()})
	sum := strings.Repeat("ab", 32)
	want := Described{sum, wire.Protocol, &schema.Description{Format: 1, Name: "lamp"}}
	h.remember(want)
	if d, ok := h.cached(sum); !ok || !reflect.DeepEqual(d, want) {
		t.Fatalf("what was remembered is %+v", d)
	}
	path := h.descriptionPath(sum)
	old := filepath.Join(filepath.Dir(path), sum+"-00000000.json")
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	if d, ok := h.cached(sum); ok {
		t.Errorf("a description of another shape was used: %+v", d)
	}
}

// Nor is one that came in a protocol that this faultline does not speak.
func TestCacheOfAnotherProtocolIsNotUsed(t *testing.T) {
	h := New(Options{CacheDir: t.TempDir()})
	sum := strings.Repeat("ab", 32)
	for _, protocol := range []int{0, wire.Protocol + 1} {
		h.remember(Described{sum, protocol, &schema.Description{Format: 1, Name: "lamp"}})
		if d, ok := h.cached(sum); ok {
			t.Errorf("a description in protocol %d was used: %+v", protocol, d)
		}
	}
}

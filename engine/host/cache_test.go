package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/sdk/schema"
)

// A description that another version of faultline has cached, which knew other fields, is not
// used: what it left out would be missing in silence.
func TestCacheOfAnotherShapeIsNotUsed(t *testing.T) {
	h := New(Options{CacheDir: t.TempDir()})
	sum := strings.Repeat("ab", 32)
	h.remember(sum, &schema.Description{Format: 1, Name: "lamp"})
	if d := h.cached(sum); d == nil || d.Name != "lamp" {
		t.Fatalf("what was remembered is %+v", d)
	}
	path := h.descriptionPath(sum)
	old := filepath.Join(filepath.Dir(path), sum+"-00000000.json")
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	if d := h.cached(sum); d != nil {
		t.Errorf("a description of another shape was used: %+v", d)
	}
}

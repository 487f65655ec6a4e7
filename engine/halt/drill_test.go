package halt

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestLastDrill(t *testing.T) {
	dir := t.TempDir()
	if _, ok, err := LastDrill(dir); ok || err != nil {
		t.Fatalf("before any: %t, %v", ok, err)
	}
	if _, err := Put(dir, "drill", "ada"); err != nil { // a halt is no drill, whatever its reason
		t.Fatal(err)
	}
	if _, ok, err := LastDrill(dir); ok || err != nil {
		t.Fatalf("after a halt: %t, %v", ok, err)
	}
	for _, d := range []struct {
		by   string
		runs int
	}{{"ada", 0}, {"bob", 2}, {"eve", 0}} {
		if err := Drilled(dir, d.by, time.Second, d.runs); err != nil {
			t.Fatal(err)
		}
	}
	torn, err := os.OpenFile(filepath.Join(dir, logFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := torn.WriteString(`{"action": "dri`); err != nil {
		t.Fatal(err)
	}
	torn.Close()
	// The last one that stopped a run says more than a later one that did not.
	if d, ok, err := LastDrill(dir); err != nil || !ok || d.By != "bob" || d.Runs != 2 || d.Took != time.Second {
		t.Errorf("%+v, %t, %v", d, ok, err)
	}
}

package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sample is a good journal of four lines.
func sample(t testing.TB) []byte {
	t.Helper()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, d := range []Data{start("x"), &FaultIntent{ID: "f"}, &FaultReverted{ID: "f"}, &RunEnded{By: "engine"}} {
		if _, err := w.Append(d); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(w.Dir(), FileName))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func readBytes(raw []byte) (*Log, error) {
	return collect(newScanner(FileName, bytes.NewReader(raw)).all)
}

func TestEveryTornTailIsReadPast(t *testing.T) {
	raw := sample(t)
	for cut := range len(raw) {
		log, err := readBytes(raw[:cut])
		whole := bytes.Count(raw[:cut], []byte("\n"))
		torn := cut > 0 && raw[cut-1] != '\n'
		if err != nil || len(log.Events) != whole || (log.Torn != nil) != torn {
			t.Fatalf("cut at %d: %v, %d events (want %d), torn %v (want %v)", cut, err, len(log.Events), whole, log.Torn, torn)
		}
	}
	// What a power cut may leave: blocks that were never written, and the last one.
	zeros := append(bytes.Clone(raw), append(make([]byte, 100), '\n')...)
	if log, err := readBytes(zeros); err != nil || log.Torn == nil || len(log.Events) != 4 {
		t.Errorf("zeros at the end: %v, torn %v, %d events", err, log.Torn, len(log.Events))
	}
}

func TestDamageIsAnErrorWithItsLine(t *testing.T) {
	lines := strings.SplitAfter(string(sample(t)), "\n")
	join := func(l ...string) string { return strings.Join(l, "") }
	newer := strings.Replace(lines[1], `"v":1`, `"v":2`, 1)
	for name, c := range map[string]struct {
		text string
		is   error
		at   string
	}{
		"changed":           {join(lines[0], strings.Replace(lines[1], `"id":"f"`, `"id":"g"`, 1), lines[2]), ErrDamaged, ":2:"},
		"last line changed": {join(lines[0], lines[1], strings.Replace(lines[2], `"id":"f"`, `"id":"g"`, 1)), ErrDamaged, ":3:"},
		"a line is missing": {join(lines[0], lines[2], lines[3]), ErrDamaged, ":2:"},
		"a line twice":      {join(lines[0], lines[1], lines[1]), ErrDamaged, ":3:"},
		"first is missing":  {join(lines[1], lines[2]), ErrDamaged, ":1:"},
		"text in between":   {join(lines[0], "what?\n", lines[1]), ErrDamaged, ":2:"},
		"empty line":        {join(lines[0], "\n", lines[1]), ErrDamaged, ":2:"},
		"no checksum":       {join(lines[0], "{\"v\":1,\"seq\":2}\n", lines[1]), ErrDamaged, ":2:"},
		"other JSON":        {"{\"a\":1}\n{\"b\":2}\n", ErrDamaged, ":1:"},
		"an array":          {"[1]\n[2]\n", ErrDamaged, ":1:"},
		"newer":             {join(lines[0], newer), ErrTooNew, ":2:"},
		"newer and other":   {"{\"v\":3,\"seq\":\"one\"}\n", ErrTooNew, ":1:"},
	} {
		_, err := readBytes([]byte(c.text))
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.at) {
			t.Errorf("%s: %v; want %q at line %s", name, err, c.is, c.at)
		}
	}
}

func TestUnknownEventIsNamed(t *testing.T) {
	body := `{"v":1,"seq":1,"t":"2026-11-22T10:00:00Z","epoch":1,"type":"fault.teleported","data":{}`
	line := body + sumKey + sumOf("", []byte(body)) + sumEnd + "\n"
	_, err := readBytes([]byte(line))
	if err == nil || !strings.Contains(err.Error(), `"fault.teleported"`) || !strings.Contains(err.Error(), "newer faultline") {
		t.Errorf("unknown event: %v", err)
	}
}

func TestLongLinesAreBounded(t *testing.T) {
	raw := append(bytes.Repeat([]byte("x"), longestLine+(1<<20)), '\n')
	if _, err := readBytes(raw); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a line of %d bytes: %v", len(raw), err)
	}
	w := create(t, openStore(t), "a")
	if _, err := w.Append(note(longestLine)); err == nil {
		t.Error("a line was written that is too long to be read")
	}
}

func TestMissingJournal(t *testing.T) {
	for e, err := range Read(filepath.Join(t.TempDir(), "none")) {
		if !errors.Is(err, os.ErrNotExist) || e.Data != nil {
			t.Errorf("missing journal: %v, %v", e, err)
		}
	}
}

func TestReadingStopsWhenAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(path, sample(t), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range Read(path) {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d events after a break", n)
	}
}

// FuzzRead checks that no input makes the reader panic, that it never yields a gap,
// and that what it accepts it would also write.
func FuzzRead(f *testing.F) {
	good := sample(f)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(append(bytes.Clone(good[:len(good)/2]), good...))
	f.Add([]byte("{\"v\":2}\n"))
	f.Add([]byte("\n\n"))
	f.Add([]byte("[]\nnull\n"))
	f.Add([]byte(`{"v":1,"seq":1,"sum":"0123456789abcdef"}` + "\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		log, err := readBytes(raw)
		for i, e := range log.Events {
			if e.Seq != int64(i)+1 || e.Data == nil {
				t.Fatalf("event %d has number %d, data %v", i+1, e.Seq, e.Data)
			}
		}
		if err == nil && log.Torn == nil && bytes.Count(raw, []byte("\n")) != len(log.Events) {
			t.Fatalf("%d lines gave %d events", bytes.Count(raw, []byte("\n")), len(log.Events))
		}
	})
}

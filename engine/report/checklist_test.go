package report

import (
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/readiness"
)

func TestChecklist(t *testing.T) {
	items := []readiness.Item{
		{ID: "plugins", Title: "plugins are there and answer", State: readiness.OK, Evidence: "http 1.2.0"},
		{ID: "drill", Title: "the halt was practised", State: readiness.Failed, Evidence: "never", Next: "`faultline halt -drill` while a run is on"},
		{ID: "on-call", Title: "On-call knows\x1b[2J", State: readiness.Open, Evidence: "nobody has ticked it, and this goes on until the line must be broken somewhere"},
	}
	var b strings.Builder
	if err := Checklist(&b, items, Options{Width: 60}); err != nil {
		t.Fatal(err)
	}
	want := `NOT READY – 1 of 3 are well

  ok    plugins are there and answer: http 1.2.0
  FAIL  the halt was practised: never
        → ` + "`faultline halt -drill`" + ` while a run is on
  open  On-call knows [2J: nobody has ticked it, and this
        goes on until the line must be broken somewhere
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := Checklist(&b, items[:1], Options{}); err != nil || !strings.HasPrefix(b.String(), "READY – 1 of 1 are well\n") {
		t.Errorf("%v: %s", err, b.String())
	}
}

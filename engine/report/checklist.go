package report

import (
	"fmt"
	"io"

	"github.com/faultline-go/faultline/engine/readiness"
)

// Checklist writes what was looked up, and ticked, before a game day.
func Checklist(w io.Writer, items []readiness.Item, o Options) error {
	p := &page{o: o}
	good := 0
	for _, i := range items {
		if i.State == readiness.OK {
			good++
		}
	}
	head, code := "READY", "1;"+green
	if !readiness.Ready(items) {
		head, code = "NOT READY", "1;"+red
	}
	p.line(p.paint(code, head) + fmt.Sprintf(" – %d of %d are well", good, len(items)))
	p.line("")
	for _, i := range items {
		for n, l := range wrap(i.Title+": "+i.Evidence, p.o.width()-len(hangingItem)) {
			if n == 0 {
				p.line("  " + p.sign(i.State) + "  " + l)
			} else {
				p.line(hangingItem + l)
			}
		}
		if i.Next != "" {
			p.text(hangingItem, "→ "+i.Next)
		}
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// hangingItem is as wide as what stands before an item.
const hangingItem = "        "

func (p *page) sign(s readiness.State) string {
	switch s {
	case readiness.OK:
		return p.paint(green, "ok  ")
	case readiness.Failed:
		return p.paint(red, "FAIL")
	default:
		return p.paint(yellow, "open")
	}
}

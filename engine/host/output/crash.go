package output

import (
	"bytes"
	"strings"
	"sync"

	"github.com/faultline-go/faultline/internal/lazyregexp"
)

// Crash is what a Go program says of its end.
type Crash struct {
	What   string   // "panic: no bulb", "fatal error: concurrent map writes"
	Frames []string // where: "main.inject (/src/lamp/fault.go:12)", the author's own code first
}

const (
	mostFrames = 6
	// mostStack is how many lines of the crashing goroutine's stack are looked at: a
	// stack overflow has more, and they say the same.
	mostStack = 200
	// mostReason is how many lines a panic's text may have before its stack.
	mostReason = 40
)

// recogniser finds the crash of a Go program in the lines that it prints.
type recogniser struct {
	before []string // the last lines before it
	what   []byte
	reason int      // lines since what
	inside bool     // the stack of the goroutine that crashed is being printed
	over   bool     // that stack is complete
	stack  [][]byte // its lines
}

var (
	reasons   = [][]byte{[]byte("panic: "), []byte("fatal error: ")}
	goroutine = []byte("goroutine ")
)

// line looks at one more line; last are those before it.
func (c *recogniser) line(raw []byte, last *ring) {
	for _, r := range reasons {
		if bytes.HasPrefix(raw, r) && !c.inside {
			*c = recogniser{what: bytes.Clone(raw), before: last.lines()}
			return
		}
	}
	switch {
	case c.what == nil || c.over:
	case !c.inside:
		c.inside = bytes.HasPrefix(raw, goroutine) && bytes.HasSuffix(raw, []byte("]:"))
		if c.reason++; c.reason > mostReason && !c.inside {
			c.what = nil // somebody only printed the word
		}
	case len(raw) == 0 || len(c.stack) == mostStack:
		c.over = true
	default:
		c.stack = append(c.stack, bytes.Clone(raw))
	}
}

// crash is what was found; nil when nothing was.
func (c *recogniser) crash() *Crash {
	if c.what == nil || !c.inside {
		return nil
	}
	out := &Crash{What: Escape(c.what)}
	var stack []string
	for _, raw := range c.stack {
		stack = append(stack, Escape(raw))
	}
	out.Frames = Frames(stack)
	return out
}

var (
	frameFunction = lazyregexp.New(`^(?:created by )?(.+?)(?:\([^()]*\))?(?: in goroutine \d+)?$`)
	framePlace    = lazyregexp.New(`^\t(.+:\d+)(?: \+0x[0-9a-f]+)?$`)
)

// Frames picks from the lines of a Go stack the calls in the author's own code: neither
// the standard library's, nor the SDK's, nor those of other modules. Where there are none
// it takes what is not the runtime's.
func Frames(stack []string) []string {
	var own, others []string
	for i := 0; i+1 < len(stack); i++ {
		place := framePlace().FindStringSubmatch(stack[i+1])
		if place == nil || strings.HasPrefix(stack[i], "\t") {
			continue
		}
		function := stack[i]
		if m := frameFunction().FindStringSubmatch(function); m != nil {
			function = m[1]
		}
		frame := function + " (" + place[1] + ")"
		switch pkg := packageOf(function); {
		case pkg == "runtime" || pkg == "panic" || strings.HasPrefix(pkg, "runtime/"):
		case standard(pkg) || strings.HasPrefix(pkg, sdkPath) || strings.Contains(place[1], "@"):
			others = append(others, frame)
		default:
			own = append(own, frame)
		}
	}
	if len(own) == 0 {
		own = others
	}
	return own[:min(len(own), mostFrames)]
}

const sdkPath = "github.com/faultline-go/faultline/sdk"

// packageOf is the package of a function as stacks name it: "example.com/a/b.(*T).F".
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	pkg, _, _ := strings.Cut(function[slash:], ".")
	return function[:slash] + pkg
}

// standard says whether a package is of the standard library: its folders at the top.
func standard(pkg string) bool {
	top, _, _ := strings.Cut(pkg, "/")
	return standardTops()[top]
}

var standardTops = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{}
	for _, top := range strings.Fields(`archive bufio builtin bytes cmp compress container context crypto database
		debug embed encoding errors expvar flag fmt go hash html image index internal io iter log maps math mime net
		os path plugin reflect regexp runtime slices sort strconv strings structs sync syscall testing text time
		unicode unique unsafe vendor weak`) {
		all[top] = true
	}
	return all
})

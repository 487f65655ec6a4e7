package sdk

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
)

// recovered turns a panic of the author's code into an error, with the place.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("the plugin panicked: %v%s", r, panicPlace())
	}
}

// panicFrames is how many calls of the author's own code an error shows.
const panicFrames = 6

// sdkPackage begins the names of this package's functions, and of those below it that
// are the SDK's own; a plugin's program is "main", wherever it lies.
var sdkPackage = reflect.TypeFor[Plugin]().PkgPath()

// panicPlace lists the calls that led to the panic that is being recovered, without those
// of the runtime and of the SDK. It is whole also where it is shown in one line.
func panicPlace() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	var b strings.Builder
	for panicking, n := false, 0; n < panicFrames; {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true
		case !panicking, strings.HasPrefix(f.Function, "runtime."), strings.HasPrefix(f.Function, "sync."), sdkCode(f), f.Function == "":
		default:
			fmt.Fprintf(&b, ",\n  at %s (%s:%d)", f.Function, f.File, f.Line)
			n++
		}
		if !more {
			break
		}
	}
	return b.String()
}

func sdkCode(f runtime.Frame) bool {
	rest, ok := strings.CutPrefix(f.Function, sdkPackage)
	if !ok || strings.HasSuffix(f.File, "_test.go") {
		return false
	}
	return strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "/wire.")
}

package sdk

import (
	"errors"
	"strconv"
	"strings"

	"github.com/faultline-go/faultline/sdk/wire"
)

// AttributeError says what is wrong with one argument of a configuration. The engine shows
// it at that place of the scenario, with file, line and the text that stands there.
//
// Path is the argument as it is reached from the block: "signal", "restart.command[1]",
// `labels["app"]`, "listener[0].upstream". Elements and blocks count from 0.
//
// Check, Prepare and the function of the settings may return one, or several at once with
// errors.Join.
type AttributeError struct {
	Path string
	Err  error // what is wrong, and what to write instead
}

func (e AttributeError) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

func (e AttributeError) Unwrap() error { return e.Err }

// At says of an error which argument it is about; nil stays nil. Paths add up, so that the
// check of a nested block need not know where that stands:
//
//	errors.Join(sdk.At("header", checkHeader(c.Header)), sdk.At("restart", c.Restart.check()))
func At(path string, err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case AttributeError:
		return AttributeError{Path: joinPath(path, e.Path), Err: e.Err}
	}
	if parts := partsOf(err); parts != nil {
		all := make(several, len(parts))
		for i, inner := range parts {
			all[i] = At(path, inner)
		}
		return all
	}
	return AttributeError{Path: path, Err: err}
}

// several are errors in one line, where errors.Join takes a line for each.
type several []error

func (s several) Error() string {
	all := make([]string, len(s))
	for i, err := range s {
		all[i] = err.Error()
	}
	return strings.Join(all, "; ")
}

func (s several) Unwrap() []error { return s }

// join is nil, the only error, or several.
func join(all []error) error {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return several(all)
}

// problemsOf takes an author's error apart into what is wrong with which argument.
func problemsOf(err error) []wire.Problem {
	var out []wire.Problem
	var walk func(prefix string, err error)
	walk = func(prefix string, err error) {
		var at AttributeError
		switch e := err.(type) {
		case AttributeError:
			walk(joinPath(prefix, e.Path), e.Err)
			return
		case *AttributeError:
			walk(joinPath(prefix, e.Path), e.Err)
			return
		}
		if parts := partsOf(err); parts != nil {
			for _, inner := range parts {
				walk(prefix, inner)
			}
			return
		}
		if inner := errors.Unwrap(err); inner != nil && errors.As(inner, &at) {
			walk(prefix, inner)
			return
		}
		out = append(out, wire.Problem{Path: prefix, Text: err.Error()})
	}
	if err != nil {
		walk("", err)
	}
	return out
}

// partsOf takes errors apart that were only put side by side, by errors.Join; nil for any
// other, which has words of its own.
func partsOf(err error) []error {
	u, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	if _, ok := err.(several); !ok && err.Error() != errors.Join(u.Unwrap()...).Error() {
		return nil
	}
	return u.Unwrap()
}

// attributed says whether an error names an argument.
func attributed(err error) bool {
	var at AttributeError
	var pointer *AttributeError
	return errors.As(err, &at) || errors.As(err, &pointer)
}

func joinPath(outer, inner string) string {
	switch {
	case outer == "":
		return inner
	case inner == "", inner[0] == '[':
		return outer + inner
	}
	return outer + "." + inner
}

func element(i int) string    { return "[" + strconv.Itoa(i) + "]" }
func entry(key string) string { return "[" + strconv.Quote(key) + "]" }

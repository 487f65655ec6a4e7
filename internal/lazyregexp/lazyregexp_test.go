package lazyregexp

import "testing"

func TestNew(t *testing.T) {
	a, wrong := New(`^a+$`), New(`(`)
	if first := a(); !first.MatchString("aa") || first.MatchString("b") || a() != first {
		t.Errorf("%v", first)
	}
	defer func() {
		if recover() == nil {
			t.Error("what is no expression was compiled")
		}
	}()
	wrong()
}

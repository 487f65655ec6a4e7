package install

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/install/address"
)

var (
	sumA = strings.Repeat("a1", 32)
	sumB = strings.Repeat("b2", 32)
	sumC = strings.Repeat("c3", 32)
	amd  = Platform{"linux", "amd64"}
	arm  = Platform{"linux", "arm64"}
	lamp = address.Address{Host: "plugins.example.com", Namespace: "acme", Name: "lamp"}
)

const keyIDForTests = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func lockedLamp(version string, sums map[Platform]string) Locked {
	return Locked{Name: "lamp", Source: lamp, Version: version, Constraint: "~> 1.2", Protocol: 1, Key: keyIDForTests, Sums: sums}
}

func TestLockText(t *testing.T) {
	l := &Lock{Path: "x"}
	fan := Locked{Name: "fan", Source: address.Address{Namespace: "acme", Name: "fan"}, Version: "0.1.0-rc.1", Protocol: 2, Sums: map[Platform]string{amd: sumC}}
	for _, p := range []Locked{lockedLamp("1.2.0", map[Platform]string{arm: sumB, amd: sumA}), fan} {
		if err := l.Set(p); err != nil {
			t.Fatal(err)
		}
	}
	want := lockHeader + `format = 1

plugin "fan" {
  source   = "acme/fan"
  version  = "0.1.0-rc.1"
  protocol = 2
  sha256 = {
    linux_amd64 = "` + sumC + `"
  }
}

plugin "lamp" {
  source     = "plugins.example.com/acme/lamp"
  version    = "1.2.0"
  constraint = "~> 1.2"
  protocol   = 1
  key        = "` + keyIDForTests + `"
  sha256 = {
    linux_amd64 = "` + sumA + `"
    linux_arm64 = "` + sumB + `"
  }
}
`
	if got := string(l.Text()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	again, err := ParseLock("x", []byte(want))
	if err != nil || !reflect.DeepEqual(again, l) {
		t.Errorf("read again it is\n%+v, %v\nnot\n%+v", again, err, l)
	}
	if got := again.Sums("lamp"); !reflect.DeepEqual(got, []string{sumA, sumB}) || again.Sums("nothing") != nil {
		t.Errorf("sums %v", got)
	}
}

func TestLockSet(t *testing.T) {
	l := &Lock{}
	set := func(p Locked) {
		t.Helper()
		if err := l.Set(p); err != nil {
			t.Fatal(err)
		}
	}
	set(lockedLamp("1.2.0", map[Platform]string{amd: sumA}))
	set(lockedLamp("1.2.0", map[Platform]string{arm: sumB}))
	if got := l.Plugin("lamp").Sums; len(got) != 2 || got[amd] != sumA {
		t.Errorf("the sums of other platforms: %v", got)
	}
	var wrong *UntrustedError
	if err := l.Set(lockedLamp("1.2.0", map[Platform]string{arm: sumC})); !errors.As(err, &wrong) {
		t.Errorf("another sum of the same version: %v", err)
	}
	if got := l.Plugin("lamp").Sums[arm]; got != sumB {
		t.Errorf("and it was entered: %s", got)
	}
	set(lockedLamp("1.3.0", map[Platform]string{arm: sumC}))
	if got := l.Plugin("lamp").Sums; len(got) != 1 {
		t.Errorf("sums of another version stay: %v", got)
	}
	l.Keep([]string{"fan"})
	if l.Plugin("lamp") != nil {
		t.Error("the scenario has no lamp any more")
	}
}

func TestLockWrong(t *testing.T) {
	good := string((&Lock{Plugins: []Locked{lockedLamp("1.2.0", map[Platform]string{amd: sumA})}}).Text())
	if _, err := ParseLock("l", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, now, want string }{
		{"format = 1", "format = 2\nfuture {}", "format 2, and this faultline reads up to 1: upgrade faultline"},
		{"format = 1", "", "A lock file has"},
		{"format = 1", "format = 1.5", "whole number"},
		{"format = 1", "format = 0", "whole number"},
		{"format = 1", "format = 1\nx = 1", "Unknown argument"},
		{`"1.2.0"`, `"1.2"`, "l:8:16: Invalid version"},
		{`"1.2.0"`, `"../1.2.0"`, "Invalid version"},
		{`"1.2.0"`, `null`, "Wrong type"},
		{`"plugins.example.com/acme/lamp"`, `"lamp"`, "Invalid source"},
		{`"plugins.example.com/acme/lamp"`, `"plugins.example.com/acme/fan"`, `the plugin "fan"`},
		{"protocol   = 1", "", `has "protocol"`},
		{"protocol   = 1", "protocol = -1", "whole number"},
		{keyIDForTests, "SHA256:abc", "Invalid key"},
		{sumA, strings.ToUpper(sumA), "Invalid checksum"},
		{"linux_amd64", "linux-amd64", "Invalid platform"},
		{`linux_amd64 = "`, `linux_amd64 = "` + sumB + "\"\nlinux_amd64 = \"", "Platform twice"},
		{`plugin "lamp"`, `plugin "Lamp"`, "Invalid label"},
		{`plugin "lamp"`, `plugin`, "Invalid label"},
		{good, good + strings.Replace(good[strings.Index(good, `plugin "`):], "1.2.0", "1.2.1", 1), "locked already"},
		{"}\n}", "}\n", "l:"},
	} {
		text := strings.Replace(good, c.old, c.now, 1)
		if text == good {
			t.Errorf("%q is not in\n%s", c.old, good)
		}
		if l, err := ParseLock("l", []byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q for %q: %+v, %v; want %q", c.now, c.old, l, err, c.want)
		}
	}
}

func TestLockFile(t *testing.T) {
	dir := t.TempDir()
	day := filepath.Join(dir, "day.hcl")
	if err := os.WriteFile(day, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path := LockPath(dir)
	if path != filepath.Join(dir, ".faultline.lock.hcl") || LockPath(day) != path {
		t.Errorf("%s, %s", path, LockPath(day))
	}
	l, err := ReadLock(path)
	if err != nil || len(l.Plugins) != 0 {
		t.Fatalf("no file: %+v, %v", l, err)
	}
	if err := l.Set(lockedLamp("1.2.0", map[Platform]string{amd: sumA})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if wrote, err := l.Write(); err != nil || wrote != want {
			t.Errorf("written: %t, %v; want %t", wrote, err, want)
		}
	}
	if again, err := ReadLock(path); err != nil || !reflect.DeepEqual(again, l) {
		t.Errorf("%+v, %v", again, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func FuzzParseLock(f *testing.F) {
	f.Add((&Lock{Plugins: []Locked{lockedLamp("1.2.0", map[Platform]string{amd: sumA})}}).Text())
	f.Add([]byte("format = 1\nplugin \"a\" {}"))
	f.Add([]byte("format = 99"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := ParseLock("lock", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "lock:") {
				t.Errorf("an error without its place: %v", err)
			}
			return
		}
		again, err := ParseLock("lock", l.Text())
		if err != nil || !reflect.DeepEqual(again, l) {
			t.Errorf("%+v is written as\n%s\nand read as %+v, %v", l, l.Text(), again, err)
		}
	})
}

func TestLockCommand(t *testing.T) {
	for path, want := range map[string]string{
		LockPath("."):         "faultline init",
		LockPath("day"):       "faultline init day",
		LockPath("game days"): "faultline init 'game days'",
		"":                    "faultline init",
	} {
		if got := (&Lock{Path: path}).Command(); got != want {
			t.Errorf("of %s: %q, want %q", path, got, want)
		}
	}
}

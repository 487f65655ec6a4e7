package sdk

import (
	"bytes"
	"encoding/json"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/sdk/schema"
)

func TestByHand(t *testing.T) {
	s, err := newServer(Plugin{Name: "lamp", Version: "1.2.3", Doc: "Lamps.", Faults: []FaultType{switchFault()}})
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"-describe", "--describe"} {
		var out bytes.Buffer
		var d schema.Description
		if code := byHand(s, []string{flag}, &out); code != 0 || json.Unmarshal(out.Bytes(), &d) != nil || d.Fault("lamp_off") == nil {
			t.Errorf("%s: exit %d\n%s", flag, code, out.String())
		}
	}
	for _, args := range [][]string{nil, {"-help"}, {"-describe", "x"}} {
		var out bytes.Buffer
		if code := byHand(s, args, &out); code != 2 || !strings.Contains(out.String(), `plugin "lamp", version 1.2.3: Lamps.`) {
			t.Errorf("%v: exit %d\n%s", args, code, out.String())
		}
	}
}

func TestOnlyUnixSocketsOfOurUserAreServed(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(t.TempDir(), "s")
		}
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		dialled := make(chan error, 1)
		go func() {
			c, err := net.Dial(network, l.Addr().String())
			if err == nil {
				defer c.Close()
			}
			dialled <- err
		}()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := <-dialled; err != nil {
			t.Fatal(err)
		}
		_, info, err := sameUser{}.ServerHandshake(c)
		if ok := err == nil && info.AuthType() == "peercred"; ok != (network == "unix") {
			t.Errorf("%s: %v, %v", network, info, err)
		}
	}
}

func TestProtocol(t *testing.T) {
	for _, c := range []struct {
		offered string
		ours    []int
		want    int
	}{
		{"1", []int{1}, 1},
		{"1,2,3", []int{1, 2}, 2},
		{"3,1", []int{1, 2}, 1},
		{"2", []int{1, 2, 3}, 2},
		{"7,8", []int{2, 3}, 2}, // none: the engine says so
		{"", []int{2, 1}, 1},
		{"x,,2", []int{1, 2}, 2},
	} {
		if got := protocol(c.offered, c.ours...); got != c.want {
			t.Errorf("of %q with %v: %d, want %d", c.offered, c.ours, got, c.want)
		}
	}
}

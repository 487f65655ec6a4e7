package wire

import (
	"os/exec"
	"strings"
	"testing"
)

// The line goes through a real shell, whatever the paths are.
func TestExportAndParse(t *testing.T) {
	want := Reattach{Protocol: 1, Network: "unix", Address: "/tmp/it's $(here)/plugin.sock", PID: 7, Binary: "/home/o'hara/`x`"}
	line, err := Export("lamp", want)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", line+"; printf %s \"$"+ReattachVariable+"\"").Output()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseReattach(string(out))
	if err != nil || len(got) != 1 || got["lamp"] != want {
		t.Errorf("%+v, %v", got, err)
	}
	for text, wrong := range map[string]string{
		"{": "faultline plugin serve", `{"lamp": {}}`: "plugin lamp needs protocol, network (unix) and address",
		`{"lamp": {"protocol": 1, "network": "tcp", "address": "127.0.0.1:1"}}`: "network (unix)",
	} {
		if _, err := ParseReattach(text); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if all, err := ParseReattach(""); all != nil || err != nil {
		t.Errorf("nothing: %v, %v", all, err)
	}
}

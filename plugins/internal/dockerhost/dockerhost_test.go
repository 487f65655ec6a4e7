package dockerhost

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/plugins/internal/nobody"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// Whether ssh ends before a request is written, or after, is chance: both say why.
func TestAWriteAfterTheEndOfSSHSaysWhy(t *testing.T) {
	plugintest.Need(t, "sshd", func() error { _, err := exec.LookPath("ssh"); return err })
	ssh, err := bySSH("ssh://nobody@" + nobody.Listens(t))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := ssh.Dialer(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for err == nil { // until ssh has ended
		_, err = lastWords{conn}.Write([]byte("x"))
	}
	if said, ok := Said(err); !ok || !strings.Contains(said, "Connection refused") {
		t.Errorf("%v; want what ssh said", err)
	}
}

package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/faultline-go/faultline/engine/install"
)

// Keygen signs with the user's own ssh-keygen, which knows keys on tokens, and with a
// public key (a file that ends in .pub) asks the agent. Its words, and its question for
// a passphrase, go to the terminal that stdin and stderr are.
func Keygen(key string, stdin io.Reader, stderr io.Writer) Signer {
	return func(ctx context.Context, message []byte) ([]byte, error) {
		// ssh-keygen would say of a missing file only that there is no such thing.
		if _, err := os.Stat(key); err != nil {
			return nil, err
		}
		// The message is a file, because ssh-keygen asks for no passphrase where its
		// standard input is no terminal.
		dir, err := os.MkdirTemp("", "faultline-sign-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		file := filepath.Join(dir, "message")
		if err := os.WriteFile(file, message, 0o600); err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, "ssh-keygen", "-q", "-Y", "sign", "-n", install.SignatureNamespace, "-f", key, file)
		cmd.Stdin, cmd.Stderr = stdin, stderr
		switch err := cmd.Run(); {
		case errors.Is(err, exec.ErrNotFound):
			return nil, errors.New("ssh-keygen is not on the path; it comes with OpenSSH (Debian: openssh-client)")
		case err != nil:
			return nil, fmt.Errorf("ssh-keygen, for the reason that it gave: %w", err)
		}
		return os.ReadFile(file + ".sig")
	}
}

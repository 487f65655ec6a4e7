package sshsig

import (
	"encoding/base64"
	"fmt"
	"strings"
)

const (
	begin = "-----BEGIN SSH SIGNATURE-----"
	end   = "-----END SSH SIGNATURE-----"
)

// unarmor returns the bytes between the armor's two lines. It is stricter than
// encoding/pem, which skips what stands before, ignores what stands after, and reads
// some texts of base64 that no encoder writes. Lines may end as on Windows.
func unarmor(armored []byte) ([]byte, error) {
	if len(armored) > maxArmored {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrNotSignature, len(armored))
	}
	text := strings.ReplaceAll(string(armored), "\r\n", "\n")
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) < 3 || lines[0] != begin || lines[len(lines)-1] != end {
		return nil, fmt.Errorf("%w: it is not framed by %q and %q", ErrNotSignature, begin, end)
	}
	encoded := strings.Join(lines[1:len(lines)-1], "")
	if strings.ContainsRune(encoded, '\r') { // which the decoder would skip
		return nil, fmt.Errorf("%w: a carriage return stands alone", ErrNotSignature)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSignature, err)
	}
	return raw, nil
}

package host

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/faultline-go/faultline/sdk/schema"
)

// NameError says that a plugin calls itself something else.
type NameError struct{ Want, Says string }

func (e *NameError) Error() string {
	return fmt.Sprintf("the plugin's file is called %s%s but says that it is %q: rename it to %s%s", Prefix, e.Want, e.Says, Prefix, e.Says)
}

// DescribeFile says what the plugin with that name offers, whose binary is the file at
// path, whatever it is called, and the binary's SHA-256. The error for a plugin that
// calls itself something else is a *NameError.
func (h *Host) DescribeFile(ctx context.Context, name, path string) (d *schema.Description, sum string, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, "", err
	}
	return h.describe(ctx, name, path)
}

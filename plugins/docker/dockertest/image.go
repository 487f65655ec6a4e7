package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

// recipe is an image that is made from files of this machine, FROM scratch.
type recipe struct {
	repository string
	files      map[string]string // path in the image → path on this machine, links followed
	entrypoint []string
	cmd        []string
}

// build returns the reference of the recipe's image, which it makes unless the
// engine has it already.
func (r recipe) build(ctx context.Context, cli *client.Client) (string, error) {
	layer, err := r.layer()
	if err != nil {
		return "", err
	}
	entrypoint, err := json.Marshal(r.entrypoint)
	if err != nil {
		return "", err
	}
	cmd, err := json.Marshal(append([]string{}, r.cmd...))
	if err != nil {
		return "", err
	}
	changes := []string{"ENTRYPOINT " + string(entrypoint), "CMD " + string(cmd)}

	sum := sha256.New()
	sum.Write(layer)
	sum.Write([]byte(strings.Join(changes, "\n")))
	tag := hex.EncodeToString(sum.Sum(nil))[:16]
	reference := r.repository + ":" + tag
	if _, err := cli.ImageInspect(ctx, reference); err == nil {
		return reference, nil
	} else if !cerrdefs.IsNotFound(err) {
		return "", fmt.Errorf("look for image %s: %w", reference, err)
	}

	source := image.ImportSource{Source: bytes.NewReader(layer), SourceName: "-"}
	progress, err := cli.ImageImport(ctx, source, r.repository, image.ImportOptions{Tag: tag, Changes: changes})
	if err != nil {
		return "", fmt.Errorf("import image %s: %w", reference, err)
	}
	defer progress.Close()
	report, err := io.ReadAll(progress) // the import is done when its report ends
	if err != nil {
		return "", fmt.Errorf("import image %s: %w", reference, err)
	}
	if _, err := cli.ImageInspect(ctx, reference); err != nil {
		return "", fmt.Errorf("import image %s: %w; the engine says %s", reference, err, report)
	}
	return reference, nil
}

// layer packs the files. Equal files give equal bytes: names are sorted and no
// time or owner is kept.
func (r recipe) layer() ([]byte, error) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	folders := map[string]bool{".": true, "/": true}
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		name = strings.TrimPrefix(path.Clean(name), "/")
		if err := packFolders(w, path.Dir(name), folders); err != nil {
			return nil, err
		}
		content, err := os.ReadFile(r.files["/"+name])
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
		if _, err := w.Write(content); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack the image: %w", err)
	}
	return packed.Bytes(), nil
}

// packFolders writes folder and those above it, each once.
func packFolders(w *tar.Writer, folder string, done map[string]bool) error {
	if done[folder] {
		return nil
	}
	if err := packFolders(w, path.Dir(folder), done); err != nil {
		return err
	}
	done[folder] = true
	if err := w.WriteHeader(&tar.Header{Name: folder + "/", Mode: 0o755, Typeflag: tar.TypeDir}); err != nil {
		return fmt.Errorf("pack %s: %w", folder, err)
	}
	return nil
}

// mustBuild is build for a test.
func (r recipe) mustBuild(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), engineTimeout)
	defer cancel()
	reference, err := r.build(ctx, Client(t))
	if err != nil {
		t.Fatal(err)
	}
	return reference
}

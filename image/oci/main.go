// Writes an OCI layout from folders: the same folders and configuration give the same digest.
package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Spec is what is written, as JSON on the standard input.
type Spec struct {
	// Out is the folder of the layout.
	Out string `json:"out"`
	// Name is the image's name with its tag, by which runtimes know an imported layout.
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Images  []Image   `json:"images"`
}

// Image is the image of one platform.
type Image struct {
	// Platform is like linux/amd64.
	Platform string `json:"platform"`
	// Layers are folders, the lowest first.
	Layers []string  `json:"layers"`
	Config v1.Config `json:"config"`
	// Owners are the numeric users, and groups of the same number, of paths that do not belong to root.
	Owners map[string]int `json:"owners"`
}

func main() {
	digest, err := write(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "oci:", err)
		os.Exit(1)
	}
	fmt.Println(digest)
}

// write returns the digest of the index.
func write(input io.Reader) (string, error) {
	var spec Spec
	if err := json.NewDecoder(input).Decode(&spec); err != nil {
		return "", err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, each := range spec.Images {
		image, platform, err := build(each, spec.Created)
		if err != nil {
			return "", fmt.Errorf("%s: %w", each.Platform, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	path, err := layout.Write(spec.Out, empty.Index)
	if err != nil {
		return "", err
	}
	_, tag, _ := strings.Cut(filepath.Base(spec.Name), ":")
	annotations := map[string]string{"io.containerd.image.name": spec.Name, "org.opencontainers.image.ref.name": tag}
	if err := path.AppendIndex(index, layout.WithAnnotations(annotations)); err != nil {
		return "", err
	}
	digest, err := index.Digest()
	return digest.String(), err
}

func build(spec Image, created time.Time) (v1.Image, *v1.Platform, error) {
	platform, err := v1.ParsePlatform(spec.Platform)
	if err != nil {
		return nil, nil, err
	}
	if err := checkLibraries(spec.Layers); err != nil {
		return nil, nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, folder := range spec.Layers {
		content, err := archive(folder, spec.Owners)
		if err != nil {
			return nil, nil, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(content)), nil
		}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
		if err != nil {
			return nil, nil, err
		}
		history := v1.History{Created: v1.Time{Time: created}, CreatedBy: "layer " + filepath.Base(folder)}
		if image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: history, MediaType: types.OCILayer}); err != nil {
			return nil, nil, err
		}
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, nil, err
	}
	file = file.DeepCopy()
	file.Created = v1.Time{Time: created}
	file.OS, file.Architecture, file.Variant = platform.OS, platform.Architecture, platform.Variant
	file.Config = spec.Config
	image, err = mutate.ConfigFile(image, file)
	return image, platform, err
}

// archive returns a folder as a tar: sorted, without times, users or groups of this machine.
func archive(folder string, owners map[string]int) ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	// WalkDir goes in lexical order.
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		target := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if target, err = os.Readlink(path); err != nil {
				return err
			}
		}
		header, err := tar.FileInfoHeader(info, target)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), filepath.ToSlash(folder)+"/")
		owner := owners[name]
		if info.IsDir() {
			name += "/"
		}
		*header = tar.Header{
			Typeflag: header.Typeflag, Name: name, Linkname: header.Linkname, Size: header.Size, Mode: header.Mode,
			Uid: owner, Gid: owner, ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
		}
		if err := writer.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(writer, file)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = writer.Close()
	return buffer.Bytes(), err
}

// checkLibraries fails where a program or a library needs a library that is in none of the folders.
func checkLibraries(folders []string) error {
	needed, found := map[string]string{}, map[string]bool{}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			found[entry.Name()] = true
			if !entry.Type().IsRegular() {
				return nil
			}
			file, err := elf.Open(path)
			if err != nil {
				return nil // Not a program.
			}
			defer file.Close()
			libraries, err := file.ImportedLibraries()
			for _, library := range libraries {
				needed[library] = path
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for library, path := range needed {
		if !found[library] {
			return fmt.Errorf("%s needs %s, which is not in the image", path, library)
		}
	}
	return nil
}

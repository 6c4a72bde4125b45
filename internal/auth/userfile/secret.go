package userfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

func secretPath(path string) string { return path + ".key" }

// readSecret returns the secret beside a users file, nil when there is none.
func readSecret(path string) ([]byte, error) {
	text, err := os.ReadFile(secretPath(path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("users: %w", err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != 32 {
		return nil, fmt.Errorf("%s: not 64 hexadecimal digits", secretPath(path))
	}
	return secret, nil
}

// makeSecret returns the secret, which it makes when there is none. Whoever calls
// holds the lock of the folder.
func makeSecret(path string) ([]byte, error) {
	secret, err := readSecret(path)
	if secret != nil || err != nil {
		return secret, err
	}
	secret = make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	return secret, replace(secretPath(path), func(f *os.File) error {
		_, err := f.WriteString(hex.EncodeToString(secret) + "\n")
		return err
	})
}

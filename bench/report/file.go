package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"

	"postrider/bench/result"
)

// ReadFile reads what WriteFile wrote, of this schema or an older one.
func ReadFile(path string) (*result.File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var head struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("%s: not a result of postbench: %w", path, err)
	}
	switch {
	case head.Schema == nil || *head.Schema < 1:
		return nil, fmt.Errorf("%s: not a result of postbench: it has no schema version", path)
	case *head.Schema > result.Schema:
		return nil, fmt.Errorf("%s: schema version %d is newer than %d, the newest that this postbench reads", path, *head.Schema, result.Schema)
	}
	f := new(result.File)
	if err := json.Unmarshal(data, f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// WriteFile writes f under the current schema version. The file appears whole or
// not at all. Figures that are no number, as a division by nothing leaves them, are
// written as 0: JSON has no words for them, and no measurement must get lost by one.
func WriteFile(path string, f *result.File) (err error) {
	data, err := encode(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	dir, base := filepath.Split(path)
	tmp, err := os.CreateTemp(filepath.Clean(dir+"."), "."+base+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tmp.Close() // the first error is the one to tell
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err = tmp.Write(data); err != nil {
		return err
	}
	if err = tmp.Chmod(0o644); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func encode(f *result.File) ([]byte, error) {
	current := *f
	current.Schema = result.Schema
	data, err := json.MarshalIndent(&current, "", " ")
	if err == nil {
		return append(data, '\n'), nil
	}
	finite := finiteCopy(reflect.ValueOf(current)).Interface()
	if data, err = json.MarshalIndent(finite, "", " "); err != nil {
		return nil, err
	}
	return append(data, '\n'), nil
}

// finiteCopy returns a copy of v in which infinities and not-a-numbers are 0.
func finiteCopy(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.Float64:
		if x := v.Float(); math.IsInf(x, 0) || math.IsNaN(x) {
			out.SetFloat(0)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(finiteCopy(v.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(finiteCopy(v.Index(i)))
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			out.Index(i).Set(finiteCopy(v.Index(i)))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if out.Field(i).CanSet() {
				out.Field(i).Set(finiteCopy(v.Field(i)))
			}
		}
	}
	return out
}

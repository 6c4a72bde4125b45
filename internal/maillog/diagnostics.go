package maillog

import (
	"fmt"
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Diagnostics returns the logger for what concerns the program rather than a
// message: JSON lines in service, readable lines with console. level is debug,
// info, warn or error. Writes to w are serialized; nothing is buffered.
func Diagnostics(w io.Writer, level string, console bool) (*zap.Logger, error) {
	at, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	c := zapcore.EncoderConfig{
		TimeKey: "ts", LevelKey: "level", MessageKey: "msg", NameKey: "part", LineEnding: "\n",
		EncodeTime:     zapcore.TimeEncoderOfLayout("2006-01-02T15:04:05.000000Z07:00"),
		EncodeLevel:    zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.StringDurationEncoder,
		EncodeName:     zapcore.FullNameEncoder,
	}
	enc := zapcore.NewJSONEncoder(c)
	if console {
		c.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		c.ConsoleSeparator = " "
		enc = zapcore.NewConsoleEncoder(c)
	}
	return zap.New(zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(w)), at)), nil
}

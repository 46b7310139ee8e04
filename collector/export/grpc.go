package export

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// grpcUpstream sends OTLP over gRPC with OpenTelemetry's exporter. Retrying is left to [Exporter], which keeps the order and counts.
type grpcUpstream struct {
	exporter *otlpmetricgrpc.Exporter
	answer   *collectorpb.ExportMetricsServiceResponse // to the last request; nil if it failed
}

// GRPCConfig says where an OTLP/gRPC upstream is and how to reach it.
type GRPCConfig struct {
	URL     string // http, https (TLS) or unix
	Headers map[string]string
	Timeout time.Duration // of one request
	Gzip    bool
	TLS     *tls.Config // nil: the system's authorities and no client certificate
}

// DialGRPC returns an upstream that connects when it first sends.
func DialGRPC(cfg GRPCConfig) (Upstream, error) {
	u := &grpcUpstream{}
	options := append(
		endpoint(cfg.URL),
		otlpmetricgrpc.WithTimeout(cfg.Timeout),
		otlpmetricgrpc.WithHeaders(cfg.Headers),
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}),
		otlpmetricgrpc.WithDialOption(grpc.WithChainUnaryInterceptor(u.observe)),
	)
	if cfg.Gzip {
		options = append(options, otlpmetricgrpc.WithCompressor("gzip"))
	}
	if cfg.TLS != nil {
		options = append(options, otlpmetricgrpc.WithTLSCredentials(credentials.NewTLS(cfg.TLS)))
	}
	var err error
	u.exporter, err = otlpmetricgrpc.New(context.Background(), options...)
	return u, err
}

// endpoint passes a unix socket as gRPC's own form of it, which the exporter's parser of URLs does not know.
func endpoint(url string) []otlpmetricgrpc.Option {
	if strings.HasPrefix(url, "unix:") {
		return []otlpmetricgrpc.Option{otlpmetricgrpc.WithEndpoint(url), otlpmetricgrpc.WithInsecure()}
	}
	return []otlpmetricgrpc.Option{otlpmetricgrpc.WithEndpointURL(url)}
}

// Send implements [Upstream].
func (u *grpcUpstream) Send(ctx context.Context, rm *metricdata.ResourceMetrics) (rejected int64, err error) {
	u.answer = nil
	err = u.exporter.Export(ctx, rm)
	if u.answer != nil {
		return max(0, u.answer.GetPartialSuccess().GetRejectedDataPoints()), nil // which the exporter calls an error
	}
	return 0, err
}

// Close implements [Upstream].
func (u *grpcUpstream) Close() error {
	err := u.exporter.Shutdown(context.Background())
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// observe keeps the answer, of which the exporter tells only in words.
func (u *grpcUpstream) observe(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if answer, ok := reply.(*collectorpb.ExportMetricsServiceResponse); ok && err == nil {
		u.answer = answer
	}
	return err
}

// statusOf returns the gRPC status of an export: that of the error or, for one that is not gRPC's, of the context that ended, else
// Unknown.
func statusOf(err error) *status.Status {
	var s interface{ GRPCStatus() *status.Status }
	switch {
	case err == nil:
		return nil // which counts as OK
	case errors.As(err, &s):
		return s.GRPCStatus()
	case errors.Is(err, context.DeadlineExceeded):
		return status.New(codes.DeadlineExceeded, err.Error())
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, err.Error())
	default:
		return status.New(codes.Unknown, err.Error())
	}
}

// longestRetryInfo bounds what an upstream may ask for: one mistake of its must not stop the export for a day.
const longestRetryInfo = 5 * time.Minute

// retryable reports whether a failure may pass and, if the upstream said so, after what time, by the rules of the OTLP specification
// (https://opentelemetry.io/docs/specs/otlp/#failures).
func retryable(err error) (retry bool, after time.Duration) {
	answered := statusOf(err)
	var info *errdetails.RetryInfo
	for _, detail := range answered.Details() {
		if d, ok := detail.(*errdetails.RetryInfo); ok {
			info = d
		}
	}
	after = min(info.GetRetryDelay().AsDuration(), longestRetryInfo)
	switch answered.Code() {
	case codes.ResourceExhausted:
		return info != nil, after
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		return true, after
	default:
		return false, 0
	}
}

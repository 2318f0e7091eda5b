// The calls of cuBLAS that lazygrad makes, as plain loops that run on the stream like a kernel.
// Sums are taken in double, or in float where the compute type says so.
#include "blas.h"

namespace {

struct Handle {
  CUstream stream = nullptr;
  int math_mode = 0, pointer_mode = 0;
};

struct Gemm {
  int ta, tb, m, n, k;
  double alpha, beta;
  const char *a, *b;
  char *c;
  int at, bt, ct, lda, ldb, ldc, batch;
  long long sa, sb, sc;

  void run() const {
    std::vector<double> row(k), column(k);
    for (int z = 0; z < batch; z++) {
      const char *A = a + z * sa * width(at), *B = b + z * sb * width(bt);
      char *C = c + z * sc * width(ct);
      for (int i = 0; i < m; i++) {
        for (int p = 0; p < k; p++) row[p] = load(A, at, ta ? p + size_t(i) * lda : i + size_t(p) * lda);
        for (int j = 0; j < n; j++) {
          double s = 0;
          for (int p = 0; p < k; p++) s += row[p] * load(B, bt, tb ? j + size_t(p) * ldb : p + size_t(j) * ldb);
          size_t o = i + size_t(j) * ldc;
          // C is not read where beta is 0: it may hold anything
          store(C, ct, o, alpha * s + (beta != 0 ? beta * load(C, ct, o) : 0));
        }
      }
    }
  }
};

}  // namespace

API cublasCreate_v2(void **h) {
  CUcontext context = nullptr;
  if (cuCtxGetCurrent(&context) || !context) return NOT_INITIALIZED;
  *h = new Handle;
  return SUCCESS;
}
API cublasDestroy_v2(void *h) { delete static_cast<Handle *>(h); return SUCCESS; }
API cublasGetVersion_v2(void *, int *v) { *v = 130000; return SUCCESS; }
API cublasSetStream_v2(void *h, CUstream s) { static_cast<Handle *>(h)->stream = s; return SUCCESS; }
API cublasGetStream_v2(void *h, CUstream *s) { *s = static_cast<Handle *>(h)->stream; return SUCCESS; }
API cublasSetMathMode(void *h, int m) { static_cast<Handle *>(h)->math_mode = m; return SUCCESS; }
API cublasGetMathMode(void *h, int *m) { *m = static_cast<Handle *>(h)->math_mode; return SUCCESS; }
API cublasSetWorkspace_v2(void *, void *, size_t) { return SUCCESS; }
API cublasSetPointerMode_v2(void *h, int m) { static_cast<Handle *>(h)->pointer_mode = m; return SUCCESS; }

API cublasGemmStridedBatchedEx(void *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a,
                               int at, int lda, long long sa, const void *b, int bt, int ldb, long long sb,
                               const void *beta, void *c, int ct, int ldc, long long sc, int batch, int compute, int) {
  auto *handle = static_cast<Handle *>(h);
  if (!handle) return NOT_INITIALIZED;
  if (m < 0 || n < 0 || k < 0 || batch < 0 || !known(at) || !known(bt) || !known(ct)) return INVALID_VALUE;
  if (lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m || lda < 1 || ldb < 1 || ldc < 1) return INVALID_VALUE;
  if (handle->pointer_mode) return NOT_SUPPORTED;
  bool is_double = at == F64;
  if (at != bt || (is_double != (ct == F64)) || (ct != at && ct != F32)) return NOT_SUPPORTED;
  if (is_double ? compute != COMPUTE_64F && compute != COMPUTE_64F_PEDANTIC
                : compute != COMPUTE_32F && compute != COMPUTE_32F_PEDANTIC &&
                      !(compute == COMPUTE_32F_FAST_TF32 && at == F32))
    return NOT_SUPPORTED;
  auto *A = static_cast<const char *>(a), *B = static_cast<const char *>(b);
  auto *C = static_cast<char *>(c);
  if (!m || !n || !batch) return SUCCESS;
  if (!inside(A, at, ta ? k : m, ta ? m : k, lda, batch, sa) || !inside(B, bt, tb ? n : k, tb ? k : n, ldb, batch, sb) ||
      !inside(C, ct, m, n, ldc, batch, sc))
    return EXECUTION_FAILED;
  auto scalar = [&](const void *p) { return is_double ? *static_cast<const double *>(p) : *static_cast<const float *>(p); };
  Gemm g{ta, tb, m, n, k, scalar(alpha), scalar(beta), A, B, C, at, bt, ct, lda, ldb, ldc, batch, sa, sb, sc};
  return enqueue(handle->stream, g);
}
API cublasGemmEx(void *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int at, int lda,
                 const void *b, int bt, int ldb, const void *beta, void *c, int ct, int ldc, int compute, int algorithm) {
  return cublasGemmStridedBatchedEx(h, ta, tb, m, n, k, alpha, a, at, lda, 0, b, bt, ldb, 0, beta, c, ct, ldc, 0, 1, compute, algorithm);
}

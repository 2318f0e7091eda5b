// The calls of cuBLASLt that lazygrad makes, as plain loops that run on the stream like a kernel.
// What is not as the library's manual wants it is refused, with the reason on stderr.
//
// There are two algorithms, which add in another order: 0 goes through all terms, 1 through two
// halves, which it puts together in the workspace. A search for a plain product and one for a product
// with a bias find another first: who searches for both does not get the same bits.
//
// EMULATOR_LT is a list of letters: "a" no algorithm is found, "e" no algorithm takes an epilogue,
// "n" relu gives 0 for NaN.
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "blas.h"

namespace {

enum { EPILOGUE_DEFAULT = 1, EPILOGUE_RELU = 2, EPILOGUE_BIAS = 4, EPILOGUE_RELU_BIAS = 6 };
constexpr uint64_t MAGIC = 0x6c745f616c676f00;

bool is_set(char letter) {
  const char *found = getenv("EMULATOR_LT");
  return found && strchr(found, letter);
}

int refuse(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
int refuse(int status, const char *format, ...) {
  va_list rest;
  va_start(rest, format);
  fprintf(stderr, "emulated cuBLASLt: ");
  vfprintf(stderr, format, rest);
  fprintf(stderr, "\n");
  va_end(rest);
  return status;
}

struct Handle { uint64_t magic = MAGIC; };
struct Desc {
  int compute, scale, pointer_mode = 0, ta = 0, tb = 0;
  unsigned epilogue = EPILOGUE_DEFAULT;
  const char *bias = nullptr;
};
struct Layout {
  int type, order = 0, batch = 1;
  unsigned long long rows, columns;
  long long ld, stride = 0;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t align[4] = {256, 256, 256, 256};  // of A, B, C, D
};
struct Algo { uint64_t magic, shape, number, workspace, align, unused[3]; };
struct Heuristic {
  Algo algo;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};
static_assert(sizeof(Algo) == 64 && sizeof(Heuristic) == 96, "as cublasLt.h has them");

// An attribute is given with the size of its value, which must be the right one.
template <class T> int put(T &into, const void *value, size_t size) {
  if (!value || size != sizeof(T)) return refuse(INVALID_VALUE, "an attribute of %zu bytes, given %zu", sizeof(T), size);
  memcpy(&into, value, size);
  return SUCCESS;
}

struct Problem {
  int ta, tb, m, n, k, type, batch, number;
  unsigned epilogue;
  double alpha, beta;
  const char *a, *b, *c, *bias;
  char *d;
  long long lda, ldb, ldc, ldd, sa, sb, sc, sd;
  bool drops_nan;

  double rounded(double v) const { return type == F64 ? v : float(v); }
  double terms(const std::vector<double> &row, const char *B, int j, int from, int to) const {
    double s = 0;
    for (int p = from; p < to; p++) s += row[p] * load(B, type, tb ? j + size_t(p) * ldb : p + size_t(j) * ldb);
    return rounded(s);
  }
  void run() const {
    size_t w = width(type);
    std::vector<double> row(k);
    for (int z = 0; z < batch; z++) {
      const char *A = a + z * sa * w, *B = b + z * sb * w, *C = c + z * sc * w;
      for (int i = 0; i < m; i++) {
        for (int p = 0; p < k; p++) row[p] = load(A, type, ta ? p + size_t(i) * lda : i + size_t(p) * lda);
        for (int j = 0; j < n; j++) {
          double s = number ? rounded(terms(row, B, j, 0, k / 2) + terms(row, B, j, k / 2, k)) : terms(row, B, j, 0, k);
          s = rounded(alpha * s);
          if (beta != 0) s = rounded(s + beta * load(C, type, i + size_t(j) * ldc));
          if (epilogue & EPILOGUE_BIAS) s = rounded(s + load(bias, type, i));
          if (epilogue & EPILOGUE_RELU) s = s > 0 || (s != s && !drops_nan) ? s : 0;
          store(d + z * sd * w, type, i + size_t(j) * ldd, s);
        }
      }
    }
  }
};

// Whether the descriptors fit each other; fills in all but the pointers.
int shape_of(const Desc *desc, const Layout *A, const Layout *B, const Layout *C, const Layout *D, Problem &p) {
  if (!desc || !A || !B || !C || !D) return refuse(INVALID_VALUE, "a descriptor is missing");
  const Layout *all[] = {A, B, C, D};
  for (int i = 0; i < 4; i++) {
    const Layout &l = *all[i];
    if (l.type != D->type || l.batch != D->batch) return refuse(NOT_SUPPORTED, "%c is of another type or batch than D", "ABCD"[i]);
    if (l.order) return refuse(NOT_SUPPORTED, "%c is not in columns", "ABCD"[i]);
    if (!l.rows || !l.columns) return refuse(INVALID_VALUE, "%c is empty", "ABCD"[i]);
    if (l.ld < (long long)l.rows) return refuse(INVALID_VALUE, "the leading dimension %lld of %c is less than its %llu rows", l.ld, "ABCD"[i], l.rows);
  }
  bool is_double = D->type == F64;
  if (!is_double && D->type != F32) return refuse(NOT_SUPPORTED, "type %d is not emulated", D->type);
  if (desc->scale != D->type) return refuse(NOT_SUPPORTED, "scale type %d for matrices of type %d", desc->scale, D->type);
  if (is_double ? desc->compute != COMPUTE_64F : desc->compute != COMPUTE_32F && desc->compute != COMPUTE_32F_FAST_TF32)
    return refuse(NOT_SUPPORTED, "compute type %d for matrices of type %d", desc->compute, D->type);
  if (desc->pointer_mode) return refuse(NOT_SUPPORTED, "alpha and beta are not on the host");
  auto rows = [](const Layout *l, int t) { return int(t ? l->columns : l->rows); };
  auto columns = [](const Layout *l, int t) { return int(t ? l->rows : l->columns); };
  int m = int(D->rows), n = int(D->columns), k = columns(A, desc->ta);
  if (rows(A, desc->ta) != m || rows(B, desc->tb) != k || columns(B, desc->tb) != n || int(C->rows) != m || int(C->columns) != n)
    return refuse(INVALID_VALUE, "the sizes of A, B, C and D do not fit");
  if (desc->epilogue != EPILOGUE_DEFAULT && desc->epilogue != EPILOGUE_RELU && desc->epilogue != EPILOGUE_BIAS && desc->epilogue != EPILOGUE_RELU_BIAS)
    return refuse(NOT_SUPPORTED, "epilogue %u", desc->epilogue);
  if ((desc->epilogue & EPILOGUE_BIAS) && !desc->bias) return refuse(INVALID_VALUE, "an epilogue with a bias, and no bias");
  if (D->batch > 1 && D->stride < (long long)(D->ld * (D->columns - 1) + D->rows)) return refuse(INVALID_VALUE, "the matrices of D overlap");
  p = Problem{desc->ta, desc->tb, m, n, k, D->type, D->batch, 0, desc->epilogue, 1, 0, nullptr, nullptr, nullptr, desc->bias, nullptr,
              A->ld, B->ld, C->ld, D->ld, A->stride, B->stride, C->stride, D->stride, is_set('n')};
  return SUCCESS;
}

uint64_t number_of(const Problem &p, int compute) {
  uint64_t h = 14695981039346656037u;
  for (long long v : {(long long)p.ta, (long long)p.tb, (long long)p.m, (long long)p.n, (long long)p.k, (long long)p.type, (long long)p.batch,
                      (long long)compute, p.lda, p.ldb, p.ldd, p.sa, p.sb, p.sd})
    h = (h ^ uint64_t(v)) * 1099511628211u;
  return h;
}

int check(const Problem &p, int compute, const Algo *algo) {
  if (!algo || algo->magic != MAGIC) return refuse(INVALID_VALUE, "no algorithm");
  if (algo->shape != number_of(p, compute)) return refuse(NOT_SUPPORTED, "an algorithm for another product");
  if (p.epilogue != EPILOGUE_DEFAULT && is_set('e')) return NOT_SUPPORTED;
  return SUCCESS;
}

}  // namespace

API cublasLtCreate(Handle **h) {
  CUcontext context = nullptr;
  if (cuCtxGetCurrent(&context) || !context) return NOT_INITIALIZED;
  *h = new Handle;
  return SUCCESS;
}
API cublasLtDestroy(Handle *h) { delete h; return SUCCESS; }
extern "C" __attribute__((visibility("default"))) size_t cublasLtGetVersion() {  // what it can do is that of a version
  return 130000 + 4 * is_set('a') + 2 * is_set('e') + is_set('n');
}

API cublasLtMatmulDescCreate(Desc **d, int compute, int scale) { *d = new Desc{compute, scale}; return SUCCESS; }
API cublasLtMatmulDescDestroy(Desc *d) { delete d; return SUCCESS; }
API cublasLtMatmulDescSetAttribute(Desc *d, int attribute, const void *value, size_t size) {
  switch (attribute) {
    case 2: return put(d->pointer_mode, value, size);
    case 3: return put(d->ta, value, size);
    case 4: return put(d->tb, value, size);
    case 7: return put(d->epilogue, value, size);
    case 8: return put(d->bias, value, size);
    default: return refuse(INVALID_VALUE, "attribute %d of a product", attribute);
  }
}
API cublasLtMatrixLayoutCreate(Layout **l, int type, uint64_t rows, uint64_t columns, int64_t ld) {
  if (!known(type)) return refuse(INVALID_VALUE, "type %d", type);
  *l = new Layout{type, 0, 1, rows, columns, ld};
  return SUCCESS;
}
API cublasLtMatrixLayoutDestroy(Layout *l) { delete l; return SUCCESS; }
API cublasLtMatrixLayoutSetAttribute(Layout *l, int attribute, const void *value, size_t size) {
  switch (attribute) {
    case 1: return put(l->order, value, size);
    case 5: return put(l->batch, value, size);
    case 6: return put(l->stride, value, size);
    default: return refuse(INVALID_VALUE, "attribute %d of a matrix", attribute);
  }
}
API cublasLtMatmulPreferenceCreate(Preference **p) { *p = new Preference; return SUCCESS; }
API cublasLtMatmulPreferenceDestroy(Preference *p) { delete p; return SUCCESS; }
API cublasLtMatmulPreferenceSetAttribute(Preference *p, int attribute, const void *value, size_t size) {
  if (attribute == 1) return put(p->workspace, value, size);
  if (attribute >= 5 && attribute <= 8) return put(p->align[attribute - 5], value, size);
  return refuse(INVALID_VALUE, "attribute %d of a search", attribute);
}

API cublasLtMatmulAlgoGetHeuristic(Handle *h, const Desc *desc, const Layout *A, const Layout *B, const Layout *C, const Layout *D,
                                   const Preference *wanted, int room, Heuristic *found, int *count) {
  Problem p;
  if (!h || h->magic != MAGIC) return NOT_INITIALIZED;
  if (!wanted || !found || !count || room < 1) return INVALID_VALUE;
  *count = 0;
  if (int status = shape_of(desc, A, B, C, D, p)) return status;
  if (is_set('a') || (p.epilogue != EPILOGUE_DEFAULT && is_set('e'))) return NOT_SUPPORTED;
  uint64_t align = 0;  // a byte for each matrix
  for (int i = 0; i < 4; i++) {
    if (wanted->align[i] < width(p.type)) return refuse(INVALID_VALUE, "elements that lie apart from their size");
    align |= uint64_t(wanted->align[i] < 16 ? wanted->align[i] : 16) << 8 * i;
  }
  const uint64_t needed = 2 * size_t(p.m) * p.n * width(p.type);
  const bool halves = (p.k >= 4) != (p.epilogue != EPILOGUE_DEFAULT) && needed <= wanted->workspace;
  *found = Heuristic{{MAGIC, number_of(p, desc->compute), halves, halves ? needed : 0, align}, halves ? needed : 0, SUCCESS, 1};
  *count = 1;
  return SUCCESS;
}
API cublasLtMatmulAlgoCheck(Handle *h, const Desc *desc, const Layout *A, const Layout *B, const Layout *C, const Layout *D,
                            const Algo *algo, Heuristic *result) {
  Problem p;
  if (!h || h->magic != MAGIC || !result) return INVALID_VALUE;
  if (int status = shape_of(desc, A, B, C, D, p)) return status;
  if (int status = check(p, desc->compute, algo)) return status;
  *result = Heuristic{*algo, algo->workspace, SUCCESS, 1};
  return SUCCESS;
}

API cublasLtMatmul(Handle *h, const Desc *desc, const void *alpha, const void *a, const Layout *A, const void *b, const Layout *B,
                   const void *beta, const void *c, const Layout *C, void *d, const Layout *D, const Algo *algo, void *workspace,
                   size_t bytes, CUstream stream) {
  Problem p;
  if (!h || h->magic != MAGIC) return NOT_INITIALIZED;
  if (!alpha || !beta || !a || !b || !c || !d) return refuse(INVALID_VALUE, "a pointer is missing");
  if (int status = shape_of(desc, A, B, C, D, p)) return status;
  if (int status = check(p, desc->compute, algo)) return status;
  if (bytes < algo->workspace) return refuse(INVALID_VALUE, "a workspace of %zu bytes, where %llu are needed", bytes, (unsigned long long)algo->workspace);
  p.number = int(algo->number), p.a = static_cast<const char *>(a), p.b = static_cast<const char *>(b);
  p.c = static_cast<const char *>(c), p.d = static_cast<char *>(d);
  auto scalar = [&](const void *at) { return p.type == F64 ? *static_cast<const double *>(at) : *static_cast<const float *>(at); };
  p.alpha = scalar(alpha), p.beta = scalar(beta);
  const char *at[] = {p.a, p.b, p.c, p.d};
  const Layout *all[] = {A, B, C, D};
  for (int i = 0; i < 4; i++) {
    if (reinterpret_cast<uintptr_t>(at[i]) % (algo->align >> 8 * i & 255)) return refuse(NOT_SUPPORTED, "%c is not aligned as the search was told", "ABCD"[i]);
    if (!inside(at[i], p.type, int(all[i]->rows), int(all[i]->columns), int(all[i]->ld), p.batch, all[i]->stride))
      return refuse(EXECUTION_FAILED, "%c does not lie in one block of memory", "ABCD"[i]);
  }
  if ((p.epilogue & EPILOGUE_BIAS) && (reinterpret_cast<uintptr_t>(p.bias) % width(p.type) || !inside(p.bias, p.type, p.m, 1, p.m, 1, 0)))
    return refuse(EXECUTION_FAILED, "the bias does not lie in one block of memory");
  if (bytes && (reinterpret_cast<uintptr_t>(workspace) % 16 || !inside(static_cast<char *>(workspace), F64, int(bytes / 8), 1, int(bytes / 8), 1, 0)))
    return refuse(INVALID_VALUE, "the workspace does not lie in one block of memory");
  return enqueue(stream, p);
}

#include "attestation/verifier/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pem_certificates out = { 0 };
    struct err              err;

    if (pem_certificates_read((struct bytes){ data, size }, &out, &err) &&
        (out.n == 0 || out.n > PEM_CERTIFICATES_MAX || out.der[0].len * 4 / 3 > size))
        __builtin_trap(); /* a success that broke its promise */
    pem_certificates_free(&out);
    return 0;
}

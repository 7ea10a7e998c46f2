/* The same bytes as a certificate, with its SGX extension, and as a revocation list. */
#include "attestation/verifier/intel_certificate.h"
#include "attestation/verifier/pck.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct intel_certificate c;
    struct intel_crl         l;
    struct pck_extension     e = { 0 };
    struct err               err;

    if (intel_certificate_read((struct bytes){ data, size }, &c, &err)) {
        if (c.point.len != P256_POINT_LEN || c.serial.len == 0 || c.tbs.len >= size)
            __builtin_trap(); /* a success that broke its promise */
        if (pck_extension_read(c.sgx_extension, &e, &err) && e.sgx_type > 2)
            __builtin_trap();
    }
    if (intel_crl_read((struct bytes){ data, size }, &l, &err)) {
        static const uint8_t nobody[] = { 0x00 };

        if (l.entries.len >= size || (l.entries.len == 0 && intel_crl_lists(&l, BYTES_OF(nobody))))
            __builtin_trap();
    }
    return 0;
}

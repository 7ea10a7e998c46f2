/* The same bytes as a public area and as a signature. */
#include "attestation/evidence/tpm_public.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tpm_public    p;
    struct tpm_signature s;
    uint8_t              name[TPM_NAME_LEN_MAX];
    size_t               len = 0;
    struct err           err;

    if (tpm_public_parse((struct bytes){ data, size }, &p, &err)) {
        tpm_name_of(&p, name, &len);
        if (len < 22 || p.whole.len + 2 < size || (p.type == TPM_RSA && p.exponent == 0))
            __builtin_trap(); /* a success that broke its promise */
    }
    if (tpm_signature_parse((struct bytes){ data, size }, &s, &err) && s.rsa.len + s.r.len + s.s.len + 6 > size)
        __builtin_trap();
    return 0;
}

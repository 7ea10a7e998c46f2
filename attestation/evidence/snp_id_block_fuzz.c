#include <stdlib.h>

#include "attestation/evidence/snp_id_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first 96 bytes are the block, the rest its authentication. Promise: what parses has whole fields. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t              first = size < SNP_ID_BLOCK_LEN ? size : SNP_ID_BLOCK_LEN;
    struct snp_id_block block;
    struct snp_id_auth  auth;
    struct err          err;

    if (snp_id_block_parse((struct bytes){ data, first }, &block, &err) && block.launch_digest.len != SNP_MEASUREMENT_LEN)
        abort();
    if (snp_id_auth_parse((struct bytes){ data + first, size - first }, &auth, &err) &&
        (auth.id_key.raw.len != SNP_ID_KEY_LEN || auth.id_key.x.len != 72))
        abort();
    return 0;
}

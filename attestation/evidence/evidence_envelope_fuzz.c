#include "attestation/evidence/evidence_envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the kind. What is read can be written, and then reads as the same again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(json) struct json_object                   *value = NULL, *written = NULL;
    AUTO(evidence_envelope) struct evidence_envelope first = { 0 }, second = { 0 };
    AUTO(buffer) struct buffer                       json = { 0 }, again = { 0 };
    struct err                                       err;

    if (size == 0 || !json_read((struct bytes){ data + 1, size - 1 }, 1 << 18, &value, &err) ||
        !evidence_envelope_read((enum envelope_kind) (data[0] % N_ENVELOPE_KINDS), value, &first, &err))
        return 0;
    if (!evidence_envelope_write(&first, &json, &err))
        return first.kind == ENVELOPE_SNP ? 0 : -1; /* a certificate in it may be none */
    if (!json_read(buffer_bytes(&json), json.len, &written, &err) ||
        !evidence_envelope_read(first.kind, written, &second, &err) || !evidence_envelope_write(&second, &again, &err) ||
        !bytes_equal(buffer_bytes(&json), buffer_bytes(&again)))
        __builtin_trap();
    return 0;
}

#include "attestation/verifier/qe_identity.h"

#include <string.h>

#include "attestation/verifier/signed_json.h"

enum { QE_IDENTITY_VERSION = 2 };

void qe_identity_free(struct qe_identity *q)
{
    if (q->document)
        json_object_put(q->document);
    q->document = NULL;
}

static FALLIBLE members_read(struct json_object *from, struct qe_identity *q, struct err *err)
{
    const char *id      = NULL;
    uint64_t    version = 0, product = 0;

    if (!json_get_text(from, "id", &id, err) || !json_get_u64(from, "version", UINT32_MAX, &version, err))
        return false;
    if (version != QE_IDENTITY_VERSION)
        return fail_with(err, ERR_UNSUPPORTED, "version %lu; only 2 is", (unsigned long) version);
    if (strlen(id) >= sizeof q->id)
        return fail_with(err, ERR_LIMIT, "id of %zu characters", strlen(id));
    memcpy(q->id, id, strlen(id) + 1);
    if (!validity_read(from, &q->issued, &q->next_update, &q->evaluation_number, err) ||
        !hex_member_read(from, "miscselect", q->misc_select, sizeof q->misc_select, err) ||
        !hex_member_read(from, "miscselectMask", q->misc_select_mask, sizeof q->misc_select_mask, err) ||
        !hex_member_read(from, "attributes", q->attributes, sizeof q->attributes, err) ||
        !hex_member_read(from, "attributesMask", q->attributes_mask, sizeof q->attributes_mask, err) ||
        !hex_member_read(from, "mrsigner", q->mrsigner, sizeof q->mrsigner, err) ||
        !json_get_u64(from, "isvprodid", UINT16_MAX, &product, err))
        return false;
    q->isv_prod_id = (uint16_t) product;
    return isv_levels_read(from, &q->levels, err);
}

FALLIBLE qe_identity_read(struct bytes body, struct qe_identity *out, struct err *err)
{
    if (!json_read(body, SIGNED_JSON_LEN_MAX, &out->document, err) || !members_read(out->document, out, err))
        return context(err, "QE identity");
    return true;
}

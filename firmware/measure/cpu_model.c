#include "firmware/measure/cpu_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Versions change feature bits, never the signature. */
static const struct {
    const char *name;
    uint32_t    family, model, stepping, n_versions;
} models[] = {
    { "EPYC",       23,   1, 2, 5 },
    { "EPYC-IBPB",  23,   1, 2, 0 },
    { "EPYC-Rome",  23,  49, 0, 5 },
    { "EPYC-Milan", 25,   1, 1, 3 },
    { "EPYC-Genoa", 25,  17, 0, 2 },
    { "EPYC-Turin", 26,   0, 0, 1 },
};

uint32_t cpu_model_signature_of(uint32_t family, uint32_t model, uint32_t stepping)
{
    uint32_t base = family > 15 ? 15 : family;

    return (family - base) << 20 | (model >> 4) << 16 | base << 8 | (model & 15) << 4 | (stepping & 15);
}

/* "" or "-v1" to "-vN" */
static bool is_version(const char *suffix, uint32_t n_versions)
{
    if (*suffix == 0)
        return true;
    return strncmp(suffix, "-v", 2) == 0 && suffix[2] >= '1' && (uint32_t) (suffix[2] - '0') <= n_versions &&
           suffix[3] == 0;
}

static bool read_number(const char *text, uint32_t *out)
{
    char         *end   = NULL;
    unsigned long value = 0;

    if (strncmp(text, "0x", 2) != 0 || strspn(text + 2, "0123456789abcdefABCDEF") != strlen(text + 2))
        return false;
    errno = 0;
    value = strtoul(text, &end, 16);
    if (errno != 0 || text[2] == 0 || value > UINT32_MAX)
        return false;
    *out = (uint32_t) value;
    return true;
}

FALLIBLE cpu_model_signature(const char *name, uint32_t *out, struct err *err)
{
    if (read_number(name, out))
        return true;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        size_t len = strlen(models[i].name);

        if (strncmp(name, models[i].name, len) == 0 && is_version(name + len, models[i].n_versions)) {
            *out = cpu_model_signature_of(models[i].family, models[i].model, models[i].stepping);
            return true;
        }
    }
    return fail_with(err, ERR_CONFIG, "unknown CPU type \"%.40s\": EPYC[-v1..5], EPYC-IBPB, EPYC-Rome[-v1..5], "
                     "EPYC-Milan[-v1..3], EPYC-Genoa[-v1..2], EPYC-Turin[-v1], or 0x and CPUID(1).EAX", name);
}

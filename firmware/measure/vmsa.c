#include "firmware/measure/vmsa.h"

#include <assert.h>
#include <string.h>

struct place { uint16_t offset; uint8_t width; uint64_t value; };

static void store(uint8_t page[static LAUNCH_PAGE_LEN], struct place p)
{
    struct writer w = writer_over(page + p.offset, p.width);

    for (unsigned i = 0; i < p.width; i++)
        put_u8(&w, (uint8_t) (p.value >> (8 * i)));
    assert(!w.failed);
}

/* selector, attributes, limit, base */
static void store_segment(uint8_t page[static LAUNCH_PAGE_LEN], uint16_t offset, uint16_t selector,
                          uint16_t attributes, uint64_t base)
{
    store(page, (struct place){ offset, 2, selector });
    store(page, (struct place){ (uint16_t) (offset + 2), 2, attributes });
    store(page, (struct place){ (uint16_t) (offset + 4), 4, 0xffff });
    store(page, (struct place){ (uint16_t) (offset + 8), 8, base });
}

static void store_segments(const struct vmsa_options *o, uint8_t page[static LAUNCH_PAGE_LEN])
{
    static const uint16_t flat[] = { 0x000, 0x030, 0x040, 0x050 }; /* ES, DS, FS, GS */
    bool                  ec2    = o->machine == VMSA_EC2;

    for (size_t i = 0; i < sizeof flat / sizeof flat[0]; i++)
        store_segment(page, flat[i], 0, 0x93, 0);
    store_segment(page, 0x010, 0xf000, ec2 && o->boots ? 0x9a : 0x9b, o->eip & 0xffff0000U); /* CS */
    store_segment(page, 0x020, 0, ec2 ? 0x92 : 0x93, 0);                                   /* SS */
    store_segment(page, 0x060, 0, 0, 0);                                                   /* GDTR */
    store_segment(page, 0x070, 0, 0x82, 0);                                                /* LDTR */
    store_segment(page, 0x080, 0, 0, 0);                                                   /* IDTR */
    store_segment(page, 0x090, 0, ec2 ? 0x83 : 0x8b, 0);                                   /* TR */
}

void vmsa_write(const struct vmsa_options *o, uint8_t page[static LAUNCH_PAGE_LEN])
{
    bool               qemu = o->machine == VMSA_QEMU;
    const struct place places[] = {
        { 0x0d0, 8, 0x1000 },                                                       /* EFER: SVME, set by KVM */
        { 0x148, 8, 0x40 },                                                         /* CR4: MCE */
        { 0x158, 8, 0x10 },                                                         /* CR0: ET */
        { 0x160, 8, 0x400 },                                                        /* DR7 */
        { 0x168, 8, 0xffff0ff0 },                                                   /* DR6 */
        { 0x170, 8, 2 },                                                            /* RFLAGS */
        { 0x178, 8, o->eip & 0xffff },                                              /* RIP */
        { 0x268, 8, o->machine == VMSA_GCE ? 0x00070106 : 0x0007040600070406ULL }, /* G_PAT */
        { 0x310, 8, o->cpu_signature },                                             /* RDX */
        { 0x3b0, 8, o->guest_features },                                            /* SEV_FEATURES */
        { 0x3e8, 8, 1 },                                                            /* XCR0 */
        { 0x408, 4, qemu ? 0x1f80 : 0 },                                            /* MXCSR */
        { 0x410, 2, qemu ? 0x37f : 0 },                                             /* X87_FCW */
    };

    memset(page, 0, LAUNCH_PAGE_LEN);
    store_segments(o, page);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        store(page, places[i]);
}

const char *vmsa_machine_name(enum vmsa_machine machine)
{
    switch (machine) {
#define VMSA_MACHINE_TEXT(name, text) case name: return text;
        VMSA_MACHINES(VMSA_MACHINE_TEXT)
#undef VMSA_MACHINE_TEXT
    }
    return "?";
}

FALLIBLE vmsa_machine_read(const char *text, enum vmsa_machine *out, struct err *err)
{
#define VMSA_MACHINE_MATCH(name, word)    \
    if (strcmp(text, word) == 0) {        \
        *out = name;                      \
        return true;                      \
    }
    VMSA_MACHINES(VMSA_MACHINE_MATCH)
#undef VMSA_MACHINE_MATCH
    return fail_with(err, ERR_CONFIG, "unknown hypervisor \"%s\": qemu, ec2 or gce", text);
}

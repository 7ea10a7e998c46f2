#include "firmware/stage0/linux_image.h"

#include <string.h>

/* Offsets in the setup part, which are the same in the page of parameters. */
enum {
    RSDP = 0x070, EFI = 0x1c0, E820_COUNT = 0x1e8, SETUP_SECTS = 0x1f1, VIDEO_MODE = 0x1fa, HEADER_END = 0x201, LOADER = 0x210,
    INITRD = 0x218, CMDLINE = 0x228, SETUP_DATA = 0x250, HEADER_LEAST = 0x264, E820_TABLE = 0x2d0
};
enum { PROTOCOL_LEAST = 0x020c, LOADED_HIGH = 1, HAS_ENTRY_64 = 1, E820_MAX = 128, SECTOR = 512 };
enum { LOADER_UNDEFINED = 0xff, VIDEO_NORMAL = 0xffff, ALIGNMENT_MAX = 64 << 20 };

struct header {
    uint8_t  setup_sects, load_flags, relocatable;
    uint16_t boot_flag, version, x_load_flags;
    uint32_t magic, sys_size;
};

static void take_header(struct reader *r, struct header *h, struct linux_image *image)
{
    take(r, SETUP_SECTS);
    h->setup_sects = take_u8(r);
    take(r, 2); /* root flags */
    h->sys_size = take_u32le(r);
    take(r, 2 + 2 + 2); /* ram size, video mode, root device */
    h->boot_flag = take_u16le(r);
    take(r, 2); /* jump */
    h->magic   = take_u32le(r);
    h->version = take_u16le(r);
    take(r, 4 + 2 + 2 + 1); /* real mode switch, start segment, version text, loader */
    h->load_flags = take_u8(r);
    take(r, 2 + 4 + 4 + 4 + 4 + 2 + 1 + 1 + 4); /* up to the command line pointer */
    image->initrd_max = take_u32le(r);
    image->alignment  = take_u32le(r);
    h->relocatable    = take_u8(r);
    take(r, 1); /* least alignment */
    h->x_load_flags    = take_u16le(r);
    image->cmdline_max = take_u32le(r);
    take(r, 4 + 8 + 4 + 4 + 8 + 8); /* hardware, payload, setup data, preferred address */
    image->init_size = take_u32le(r);
}

static FALLIBLE check_header(const struct header *h, struct bytes file, const struct linux_image *image,
                             struct err *err)
{
    if (h->boot_flag != 0xaa55 || h->magic != 0x53726448) /* "HdrS" */
        return fail_with(err, ERR_MALFORMED, "not a bzImage");
    if (h->version < PROTOCOL_LEAST)
        return fail_with(err, ERR_UNSUPPORTED, "boot protocol %#x, at least %#x", h->version, PROTOCOL_LEAST);
    if ((h->load_flags & LOADED_HIGH) == 0 || (h->x_load_flags & HAS_ENTRY_64) == 0 || h->relocatable == 0)
        return fail_with(err, ERR_UNSUPPORTED, "no relocatable 64-bit entry");
    if (image->setup_len > file.len || (uint64_t) h->sys_size * 16 > file.len - image->setup_len + 15)
        return fail_with(err, ERR_MALFORMED, "it is cut off");
    if (image->alignment == 0 || image->alignment > ALIGNMENT_MAX ||
        (image->alignment & (image->alignment - 1)) != 0)
        return fail_with(err, ERR_MALFORMED, "alignment %#x", image->alignment);
    if (image->init_size < file.len - image->setup_len)
        return fail_with(err, ERR_MALFORMED, "it needs less memory than its own size");
    return true;
}

FALLIBLE linux_image_read(struct bytes file, struct linux_image *out, struct err *err)
{
    struct linux_image image = { .init_size = 0 };
    struct header      h     = { .magic = 0 };
    struct reader      r     = reader_over(file);

    take_header(&r, &h, &image);
    if (!reader_ok(&r, err))
        return false;
    image.setup_len = (uint32_t) ((h.setup_sects ? h.setup_sects : 4) + 1) * SECTOR;
    if (!check_header(&h, file, &image, err))
        return false;

    size_t end = HEADER_END + 1 + (size_t) file.at[HEADER_END];

    if (end < HEADER_LEAST || end > E820_TABLE || end > image.setup_len)
        return fail_with(err, ERR_MALFORMED, "a header that ends at %#zx", end);
    image.header = (struct bytes){ file.at + SETUP_SECTS, end - SETUP_SECTS };
    *out         = image;
    return true;
}

static void store(uint8_t *params, size_t offset, size_t width, uint64_t value)
{
    struct writer w = writer_over(params + offset, width);

    for (size_t i = 0; i < width; i++)
        put_u8(&w, (uint8_t) (value >> (8 * i)));
}

static void store_efi(uint8_t *params, const struct linux_efi *efi)
{
    if (efi->system_table == 0)
        return;
    memcpy(params + EFI, "EL64", 4);
    store(params, EFI + 4, 4, efi->system_table);
    store(params, EFI + 8, 4, efi->descriptor_len);
    store(params, EFI + 12, 4, 1); /* version of a descriptor */
    store(params, EFI + 16, 4, efi->map);
    store(params, EFI + 20, 4, efi->map_len);
    store(params, EFI + 24, 4, efi->system_table >> 32);
    store(params, EFI + 28, 4, efi->map >> 32);
}

FALLIBLE linux_params_write(const struct linux_image *image, const struct linux_start *start,
                            const struct memory_map *map, uint8_t params[static LINUX_PARAMS_LEN], struct err *err)
{
    struct writer w = writer_over(params + E820_TABLE, (size_t) E820_MAX * 20);

    if (map->n > E820_MAX)
        return fail_with(err, ERR_LIMIT, "memory map: %zu ranges, at most %d", map->n, E820_MAX);
    memset(params, 0, LINUX_PARAMS_LEN);
    memcpy(params + SETUP_SECTS, image->header.at, image->header.len);
    store(params, RSDP, 8, start->rsdp);
    store(params, E820_COUNT, 1, map->n);
    store(params, VIDEO_MODE, 2, VIDEO_NORMAL);
    store(params, LOADER, 1, LOADER_UNDEFINED);
    store(params, INITRD, 4, start->initrd);
    store(params, INITRD + 4, 4, start->initrd_len);
    store(params, CMDLINE, 4, start->cmdline);
    store(params, SETUP_DATA, 8, start->setup_data);
    store_efi(params, &start->efi);
    for (size_t i = 0; i < map->n; i++) {
        put_u64le(&w, map->at[i].start);
        put_u64le(&w, map->at[i].end - map->at[i].start);
        put_u32le(&w, map->at[i].type);
    }
    return true;
}

/* Every bound that a layer can push against while it is read, with its unit and its reason. */
#pragma once

enum {
    IMAGE_CHUNK_LEN     = 256 << 10, /* bytes of one step: read, decrypt, inflate */
    TAR_PATH_MAX        = 4095,      /* bytes of a path; the kernel's limit */
    TAR_COMPONENT_MAX   = 255,       /* bytes of one name in it; the kernel's limit */
    TAR_EXTENDED_MAX    = 1 << 20,   /* bytes of one extended header: 16 extended attributes of full size */
    TAR_XATTRS_MAX      = 64,        /* extended attributes of one file; genuine files have 1 or 2 */
    TAR_XATTR_VALUE_MAX = 64 << 10,  /* bytes of one value; the kernel's limit */
    TAR_EXTENTS_MAX     = 1 << 16,   /* stored pieces of one sparse file */
    TAR_FILE_GIB_MAX    = 1 << 10,   /* GiB of one file, holes included */
    LAYER_DEPTH_MAX     = 512,       /* nested folders that a whiteout removes; each holds a descriptor open */
    LAYER_WINDOW_MIN    = 23         /* log2 of the zstd window that every reader must offer: 8 MiB. [RFC 8878 3.1.1.1.2] */
};

/* The cache, `drover/cache`: apart from the other libraries, since few programs that have those need it. */
export * from "@drover/cache";

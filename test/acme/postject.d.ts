declare module "postject" {
  export const inject: (
    executable: string,
    name: string,
    data: Uint8Array,
    options: { readonly sentinelFuse: string }
  ) => Promise<void>
}

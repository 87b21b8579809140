// Runs before each test file of project `deno`. Without XDG_RUNTIME_DIR the Vulkan loader writes a complaint to stderr
// at the first requestAdapter(), once per test file.
if (!Deno.env.get("XDG_RUNTIME_DIR")) Deno.env.set("XDG_RUNTIME_DIR", Deno.env.get("TMPDIR") ?? "/tmp");

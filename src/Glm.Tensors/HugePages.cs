using System.Runtime.InteropServices;

namespace Glm.Tensors;

/// <summary>Large native memory in pages of 2 MiB where Linux gives them, so that reading weights does not wait for address translation.</summary>
internal static unsafe partial class HugePages
{
    /// <summary>The size of a huge page, and the least that is worth asking for.</summary>
    public const int Bytes = 2 << 20;

    private const int HugePageAdvice = 14, DoNotNeedFile = 4;

    /// <summary>
    /// Asks for huge pages; a system that has none goes on without. Of a mapped file, what the system's cache does not hold yet is read in such pages and mapped as they are.
    /// </summary>
    public static void Advise(byte* data, long bytes)
    {
        if (OperatingSystem.IsLinux()) _ = Advise((nint)data, (nuint)(bytes / Bytes * Bytes), HugePageAdvice);
    }

    /// <summary>Lets the system's cache forget a file that was just written, in small pages, so that it comes back in large ones.</summary>
    public static void Forget(string path)
    {
        if (!OperatingSystem.IsLinux()) return;
        using var file = File.OpenHandle(path);
        _ = Advise((int)file.DangerousGetHandle(), 0, 0, DoNotNeedFile);
    }

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    private static partial int Advise(int file, long offset, long length, int advice);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);
}

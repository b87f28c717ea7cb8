using System.Runtime.InteropServices;

namespace Glm.Tensors;

/// <summary>Large native memory in pages of 2 MiB where Linux gives them, so that reading weights does not wait for address translation.</summary>
internal static unsafe partial class HugePages
{
    /// <summary>The size of a huge page, and the least that is worth asking for.</summary>
    public const int Bytes = 2 << 20;

    private const int HugePageAdvice = 14;

    /// <summary>Asks for huge pages; a system that has none goes on without.</summary>
    public static void Advise(byte* data, long bytes)
    {
        if (OperatingSystem.IsLinux()) _ = Advise((nint)data, (nuint)(bytes / Bytes * Bytes), HugePageAdvice);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);
}

using System.Runtime.InteropServices;

namespace Glm.Tensors;

/// <summary>Pages of mapped files that were touched; they count as memory of the process until the system takes them back.</summary>
internal static unsafe partial class MappedPages
{
    private const int DontNeedAdvice = 4;

    /// <summary>Gives the pages back at once where Linux does that; elsewhere the system takes them when it needs them.</summary>
    public static void Release(byte* data, long bytes)
    {
        if (!OperatingSystem.IsLinux() || bytes == 0) return;
        long offset = (long)data % Environment.SystemPageSize;
        _ = Advise((nint)data - (nint)offset, (nuint)(bytes + offset), DontNeedAdvice);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);
}

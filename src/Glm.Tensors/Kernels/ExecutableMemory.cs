using System.Runtime.InteropServices;

namespace Glm.Tensors;

/// <summary>
/// Memory for generated code: mapped writable, filled, then made executable and never writable again. Systems may refuse that (some containers do);
/// then nothing is generated.
/// </summary>
internal static unsafe partial class ExecutableMemory
{
    private const int Read = 1, Write = 2, Execute = 4, Private = 2, Anonymous = 0x20;

    /// <summary>Whether this system lets us run what we generate: 64-bit x86 Linux that does not refuse.</summary>
    public static bool IsAllowed { get; } = OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64 && Place([0xC3]) != null;

    /// <summary>The address of a copy of the code, which lives as long as the process; null if the system refuses.</summary>
    public static void* Place(ReadOnlySpan<byte> code)
    {
        nint memory = Map(0, (nuint)code.Length, Read | Write, Private | Anonymous, -1, 0);
        if (memory == -1) return null;
        code.CopyTo(new Span<byte>((void*)memory, code.Length));
        return Protect(memory, (nuint)code.Length, Read | Execute) == 0 ? (void*)memory : null;
    }

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    private static partial int Protect(nint address, nuint length, int protection);
}

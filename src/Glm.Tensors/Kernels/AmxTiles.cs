using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace Glm.Tensors;

/// <summary>The tile registers of AMX: whether this process may use them, and how they are shaped.</summary>
internal static unsafe partial class AmxTiles
{
    /// <summary>The largest tile: 16 rows of 64 bytes.</summary>
    public const int MaxRows = 16, MaxRowBytes = 64;

    private const int ArchPrctl = 158, RequestPermission = 0x1023, TileData = 18;

    /// <summary>
    /// CPUID leaf 7, EDX: AMX-BF16 (22), AMX-TILE (24), AMX-INT8 (25); and a system that lets this process use the tiles, for which it has to be asked once, since
    /// every thread's state grows by 8 KiB.
    /// </summary>
    public static bool AreAllowed { get; } =
        OperatingSystem.IsLinux() && X86Base.IsSupported && (X86Base.CpuId(7, 0).Edx & Features) == Features && SystemCall(ArchPrctl, RequestPermission, TileData) == 0;

    private const int Features = 1 << 22 | 1 << 24 | 1 << 25;

    /// <summary>What LDTILECFG reads, at a label in the code: rows and bytes of a row of every tile, beginning with the first.</summary>
    public static void Configuration(Assembler a, ref Label label, ReadOnlySpan<(int Rows, int RowBytes)> tiles)
    {
        const int rowBytes = 16, rows = 48;
        byte[] data = new byte[64];
        data[0] = 1; // the palette
        for (int tile = 0; tile < tiles.Length; tile++)
        {
            data[rowBytes + 2 * tile] = (byte)tiles[tile].RowBytes;
            data[rows + tile] = (byte)tiles[tile].Rows;
        }
        a.Label(ref label);
        a.db(data);
    }

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial nint SystemCall(nint number, nint first, nint second);
}

using System.Runtime.InteropServices;

namespace Glm.Tensors;

/// <summary>What a panel kernel multiplies: the blocks of one segment of one panel by a tile of inputs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PanelTask
{
    /// <summary>The first block.</summary>
    public byte* Weights;

    /// <summary>First block of the tile of inputs.</summary>
    public byte* Inputs;

    /// <summary>How many blocks.</summary>
    public nint Blocks;

    /// <summary>Receives binary32 sums [rows of the tile, 16].</summary>
    public float* Sums;

    /// <summary>Bytes from one row of sums to the next.</summary>
    public nint SumsStride;
}

/// <summary>What a panel kernel is made for.</summary>
/// <param name="Bits">Bits of a weight.</param>
/// <param name="HasBlockScales">Whether each block of weights has scales.</param>
/// <param name="Tile">The tile of inputs.</param>
internal readonly record struct PanelKernelShape(int Bits, bool HasBlockScales, InputTile Tile)
{
    /// <summary>Bytes of the scales that a block of weights begins with.</summary>
    public int ScaleBytes => HasBlockScales ? PanelLayout.PanelRows * BlockFormat.ScaleBytes : 0;

    /// <summary>Bytes of a block of weights.</summary>
    public int BlockBytes => ScaleBytes + PanelLayout.PanelRows * PanelLayout.BlockInputs * Bits / 8;
}

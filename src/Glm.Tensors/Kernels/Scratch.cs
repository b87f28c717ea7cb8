using System.Runtime.InteropServices;

namespace Glm.Tensors;

/// <summary>
/// What one thread needs to compute: room for packed panels of matrices and for values in between, 64-byte aligned, that grows to
/// the largest request it has seen and is reused; growing allocates nothing on the managed heap. Not safe for two threads at once.
/// </summary>
internal sealed unsafe class Scratch : IDisposable
{
    /// <summary>Floats of a tile of sums, the largest of all microkernels.</summary>
    public const int TileSize = 32 * 32;

    private readonly AlignedBuffer tile = new();
    private readonly AlignedBuffer left = new();
    private readonly AlignedBuffer right = new();
    private readonly AlignedBuffer sums = new();
    private readonly AlignedBuffer values = new();

    /// <summary>One microkernel's sums, <see cref="TileSize"/>.</summary>
    public float* Tile => tile.Reserve(TileSize + Packing.StageSize);

    /// <summary>Converted elements, <see cref="Packing.StageSize"/>.</summary>
    public float* Stage => Tile + TileSize;

    /// <summary>Packed panels of the left matrix.</summary>
    public float* Left(nint floats) => left.Reserve(floats);

    /// <summary>Packed panels of the right matrix.</summary>
    public float* Right(nint floats) => right.Reserve(floats);

    /// <summary>Sums over the blocks of k done so far, where the result itself is too narrow to hold them.</summary>
    public float* Sums(nint floats) => sums.Reserve(floats);

    /// <summary>Whatever an operation computes in, apart from the products that it calls.</summary>
    public float* Values(nint floats) => values.Reserve(floats);

    public void Dispose()
    {
        tile.Dispose();
        left.Dispose();
        right.Dispose();
        sums.Dispose();
        values.Dispose();
    }

    private sealed class AlignedBuffer : IDisposable
    {
        private float* data;
        private nint capacity;

        ~AlignedBuffer() => Free();

        public float* Reserve(nint floats)
        {
            if (floats <= capacity) return data;
            Free();
            data = (float*)NativeMemory.AlignedAlloc((nuint)floats * sizeof(float), 64);
            capacity = floats;
            return data;
        }

        public void Dispose()
        {
            Free();
            GC.SuppressFinalize(this);
        }

        private void Free()
        {
            NativeMemory.AlignedFree(data);
            data = null;
            capacity = 0;
        }
    }
}

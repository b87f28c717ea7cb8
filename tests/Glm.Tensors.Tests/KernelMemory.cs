using System.Runtime.InteropServices;

namespace Glm.Tests;

/// <summary>Native memory of a test with guard values around it, freed together.</summary>
internal sealed unsafe class KernelMemory : IDisposable
{
    private const int Guard = 64;
    private const byte Pattern = 0xA5;
    private readonly List<(nint Start, int Bytes)> blocks = [];

    /// <summary>Bytes that are not aligned to more than <paramref name="alignment"/>.</summary>
    public void* Bytes(int bytes, int alignment = 4)
    {
        var start = (byte*)NativeMemory.AlignedAlloc((nuint)(bytes + 2 * Guard + 64), 64) + alignment % 64;
        new Span<byte>(start, bytes + 2 * Guard).Fill(Pattern);
        blocks.Add(((nint)start, bytes));
        return start + Guard;
    }

    public float* Floats(int count) => (float*)Bytes(count * sizeof(float));

    public float* RandomFloats(int count, Random random)
    {
        float* data = Floats(count);
        for (int i = 0; i < count; i++) data[i] = random.NextSingle() * 2 - 1;
        return data;
    }

    /// <summary>Fails if anything wrote just outside a block.</summary>
    public void CheckGuards()
    {
        foreach ((nint start, int bytes) in blocks)
            for (int i = 0; i < Guard; i++)
            {
                Assert.Equal(Pattern, ((byte*)start)[i]);
                Assert.Equal(Pattern, ((byte*)start)[Guard + bytes + i]);
            }
    }

    public void Dispose()
    {
        foreach ((nint start, _) in blocks) NativeMemory.AlignedFree((void*)(start & ~63));
    }
}

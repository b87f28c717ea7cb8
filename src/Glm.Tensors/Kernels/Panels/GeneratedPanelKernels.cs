using System.Collections.Concurrent;
using Iced.Intel;

namespace Glm.Tensors;

/// <summary>Panel kernels generated in one way, one per <see cref="PanelKernelShape"/>, made when first asked for.</summary>
/// <param name="generate">The code of a shape.</param>
internal sealed unsafe class GeneratedPanelKernels(Func<PanelKernelShape, Assembler> generate)
{
    private readonly ConcurrentDictionary<PanelKernelShape, nint> made = new();

    /// <summary>The kernel of a shape.</summary>
    public delegate* unmanaged<PanelTask*, void> Get(in PanelKernelShape shape)
    {
        if (!made.TryGetValue(shape, out nint kernel)) kernel = made.GetOrAdd(shape, wanted => GeneratedCode.Place(generate(wanted)));
        return (delegate* unmanaged<PanelTask*, void>)kernel;
    }
}

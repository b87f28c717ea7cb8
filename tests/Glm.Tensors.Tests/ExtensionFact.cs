using Glm.Tensors;

namespace Glm.Tests;

/// <summary>A test of code generated for an extension, which many machines lack.</summary>
internal sealed class ExtensionFactAttribute : FactAttribute
{
    public ExtensionFactAttribute(CodeExtension extension)
    {
        bool has = extension switch { CodeExtension.Amx => Isa.HasAmx, CodeExtension.BFloat16 => Isa.HasBFloat16, _ => Isa.HasVnni };
        if (!has) Skip = $"this machine has no {extension}";
    }
}

//! The attribute `multiversion`; the crate `isa` has an example.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Expr, FnArg, GenericParam, Generics, Ident, ItemFn, Pat, Result, Signature, Token};
use syn::{parse_macro_input, parse_quote};

/// Compiles a function or method once for each instruction set: `#[multiversion(isa)]` runs the version
/// for `isa`, any expression of type `isa::Isa`, evaluated when the function is called. In a function with
/// `#[multiversion(isa, V)]`, `V` is the version's `isa::Vector`.
///
/// Closures in the function belong to its versions, also where other threads run them. Functions do not:
/// what is called within a hot loop, or has it, is `#[inline(always)]`.
///
/// # Panics
/// The function does if the processor lacks the instruction set.
#[proc_macro_attribute]
pub fn multiversion(choice: TokenStream, function: TokenStream) -> TokenStream {
    let choice = parse_macro_input!(choice as Choice);
    versions_and_choice(choice, parse_macro_input!(function as ItemFn)).into()
}

/// `isa` or `isa, V`.
struct Choice {
    isa: Expr,
    vector: Option<Ident>,
}

impl Parse for Choice {
    fn parse(input: ParseStream) -> Result<Choice> {
        let isa = input.parse()?;
        let comma: Option<Token![,]> = input.parse()?;
        let vector = comma.map(|_| input.parse()).transpose()?;
        Ok(Choice { isa, vector })
    }
}

fn versions_and_choice(Choice { isa, vector }: Choice, function: ItemFn) -> Tokens {
    let ItemFn { attrs, vis, mut sig, block, .. } = function;
    let allowed: Vec<_> = attrs.iter().filter(|attr| attr.path().is_ident("allow")).collect();
    // A parameter that only tells the version is used by none.
    let used = matches!(isa, Expr::Path(_)).then(|| quote!(let _ = #isa;));
    let version = |name: &Ident, registers: Tokens, target: Tokens| {
        let sig = Signature { ident: name.clone(), ..sig.clone() };
        let vector = vector.iter().map(|v| quote!(type #v = ::isa::in_registers::#registers;));
        quote!(#target #(#allowed)* #sig { #(#vector)* #used #block })
    };
    let [portable, avx2, avx512] =
        ["portable", "avx2", "avx512"].map(|set| format_ident!("{}_{set}", sig.ident));
    let x86 = quote!(#[cfg(target_arch = "x86_64")]);
    let versions = [
        version(&portable, quote!(Plain), quote!()),
        version(&avx2, quote!(Avx2), quote!(#x86 #[target_feature(enable = "avx2,fma")])),
        version(
            &avx512,
            quote!(Avx512),
            quote!(#x86 #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq")]),
        ),
    ];

    let receiver = sig.receiver().map(|_| quote!(self.));
    let (types, arguments) = (type_arguments(&sig.generics), name_arguments(&mut sig));
    let call = |version: Ident| quote!(#receiver #version::<#(#types),*>(#(#arguments),*));
    let [portable, avx2, avx512] = [portable, avx2, avx512].map(call);
    quote! {
        #(#attrs)*
        #vis #sig {
            let isa: ::isa::Isa = #isa;
            assert!(isa.is_available(), "this processor has no {isa:?}");
            match isa {
                // SAFETY: the assert above.
                #x86
                ::isa::Isa::Avx512 => unsafe { #avx512 },
                // SAFETY: the assert above.
                #x86
                ::isa::Isa::Avx2 => unsafe { #avx2 },
                _ => #portable,
            }
        }
        #(#versions)*
    }
}

/// The names of type and constant parameters.
fn type_arguments(generics: &Generics) -> Vec<Ident> {
    let name = |parameter: &GenericParam| match parameter {
        GenericParam::Type(parameter) => Some(parameter.ident.clone()),
        GenericParam::Const(parameter) => Some(parameter.ident.clone()),
        GenericParam::Lifetime(_) => None,
    };
    generics.params.iter().filter_map(name).collect()
}

/// The names of the parameters, apart from `self`; a pattern, which the versions take apart, is replaced
/// by a name.
fn name_arguments(sig: &mut Signature) -> Vec<Ident> {
    let mut names = Vec::new();
    for (at, input) in sig.inputs.iter_mut().enumerate() {
        if let FnArg::Typed(input) = input {
            let name = match &*input.pat {
                Pat::Ident(pattern) => pattern.ident.clone(),
                _ => format_ident!("argument_{at}"),
            };
            *input.pat = parse_quote!(#name);
            names.push(name);
        }
    }
    names
}
